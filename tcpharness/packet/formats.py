"""What a file is that is no capture which can be read here, by its first bytes, and what helps."""

from __future__ import annotations

from typing import NamedTuple

HEAD_LEN = 32
EDITCAP = "`editcap -F pcap` converts it"
TEXT = frozenset(range(32, 127)) | {9, 10, 12, 13, 27} | frozenset(range(128, 256))


class Format(NamedTuple):
    begin: bytes
    name: str
    help: str = ""


FORMATS = (
    # captures of others
    Format(b"snoop\0\0\0", "a snoop capture", EDITCAP),
    Format(b"btsnoop\0", "a Bluetooth capture (btsnoop)"),
    Format(b"iptrace ", "an iptrace capture", EDITCAP),
    Format(b"RTSS", "a Network Monitor capture", EDITCAP),
    Format(b"GMBU", "a Network Monitor capture", EDITCAP),
    Format(b"TRSNIFF data", "a Sniffer capture", EDITCAP),
    Format(b"XCP\0", "a NetXRay capture", EDITCAP),
    Format(b"\x7fver", "a Peek capture", EDITCAP),
    Format(b"\x05VNF", "a Visual Networks capture", EDITCAP),
    # packed
    Format(b"BZh", "bzip2", "unpack it with bunzip2"),
    Format(b"\xfd7zXZ\0", "xz", "unpack it with unxz"),
    Format(b"\x04\x22\x4d\x18", "lz4", "unpack it with unlz4"),
    Format(b"\x1f\x9d", "compress", "unpack it with uncompress"),
    Format(b"PK\x03\x04", "a zip archive", "unpack it with unzip"),
    Format(b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it with 7z x"),
    # anything
    Format(b"\x7fELF", "a program (ELF)"),
    Format(b"MZ", "a program (PE)"),
    Format(b"\x89PNG", "a PNG image"),
    Format(b"\xff\xd8\xff", "a JPEG image"),
    Format(b"GIF8", "a GIF image"),
    Format(b"%PDF", "a PDF document"),
    Format(b"SQLite format 3", "a SQLite database"),
    Format(b"<!DOCTYPE", "HTML: an error page, downloaded instead?"),
    Format(b"<html", "HTML: an error page, downloaded instead?"),
    Format(b"<?xml", "XML"),
    Format(b"{", "JSON"),
)


def not_a_capture(head: bytes) -> str:
    """The problem in one line; `head` is the file's first HEAD_LEN bytes."""
    found = next((f for f in FORMATS if head.startswith(f.begin)), None)
    if found is None and all(byte in TEXT for byte in head):
        found = Format(b"", "text")
    if found is None and is_erf(head):
        found = Format(b"", "an ERF capture", EDITCAP)
    name = f" ({found.name})" if found else ""
    hint = f"; {found.help}" if found and found.help else "; expected pcap or pcapng"
    return f"not a capture: it begins with {head[:4].hex()}{name}{hint}"


def is_erf(head: bytes) -> bool:
    """ERF has no magic number: seconds (little-endian), a type, and a record length that holds its header."""
    seconds, kind = int.from_bytes(head[4:8], "little"), head[8:9]
    lengths = int.from_bytes(head[10:12], "big"), int.from_bytes(head[14:16], "big")
    return (
        len(head) >= 16
        and 600_000_000 < seconds < 2_400_000_000
        and 0 < kind[0] & 0x7F <= 48
        and 16 <= lengths[0] < lengths[1] + 64
    )
