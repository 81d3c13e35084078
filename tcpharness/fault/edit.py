"""Changes a frame's fields, and makes its checksums fit again, or wrong on purpose."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tcpharness.fault.frame import Seen, see
from tcpharness.packet.checksum import fold, ones_complement_sum, pseudo_header_sum
from tcpharness.packet.segment import flags_value
from tcpharness.packet.spec import SegmentSpec

# field -> (offset in the TCP header, struct code)
TCP_FIELDS = {
    "sport": (0, "!H"),
    "dport": (2, "!H"),
    "seq": (4, "!I"),
    "ack": (8, "!I"),
    "win": (14, "!H"),
    "urg": (18, "!H"),
}
IP_FIELDS = {"ttl": (8, "!B"), "tos": (1, "!B"), "id": (4, "!H"), "ip_len": (2, "!H")}
IP6_FIELDS = {"ttl": (7, "!B"), "ip_len": (4, "!H")}
OPTION_KINDS = {"mss": (2,), "wscale": (3,), "sack_ok": (4,), "sack": (4, 5), "timestamps": (8,)}
NOP = b"\x01"


def change(data: bytes, spec: SegmentSpec, strip: tuple[str, ...], fix: bool) -> bytes:
    """The frame with the given fields set and options stripped; checksums recomputed when `fix`."""
    seen = see(data)
    assert seen is not None
    frame = bytearray(data)
    given = spec.given()
    for name, value in given.items():
        set_field(frame, seen, name, value)
    for name in strip:
        strip_options(frame, seen, OPTION_KINDS[name])
    changed = bytes(frame)
    if fix:
        changed = fix_checksums(changed, seen)
    return set_checksums(changed, seen, given)


def set_field(frame: bytearray, seen: Seen, name: str, value: int | str | bool) -> None:
    ip_fields = IP_FIELDS if seen.version == 4 else IP6_FIELDS
    if name in TCP_FIELDS:
        at, code = TCP_FIELDS[name]
        struct.pack_into(code, frame, seen.tcp + at, int(value))
    elif name in ip_fields:
        at, code = ip_fields[name]
        struct.pack_into(code, frame, seen.ip + at, int(value))
    elif name in SPECIAL:
        SPECIAL[name](frame, seen, value)


def set_flags(frame: bytearray, seen: Seen, value: int | str | bool) -> None:
    flags = flags_value(str(value))
    frame[seen.tcp + 12] = frame[seen.tcp + 12] & 0xFE | flags >> 8
    frame[seen.tcp + 13] = flags & 0xFF


def set_offset(frame: bytearray, seen: Seen, value: int | str | bool) -> None:
    frame[seen.tcp + 12] = frame[seen.tcp + 12] & 0x0F | int(value) << 4


def set_reserved(frame: bytearray, seen: Seen, value: int | str | bool) -> None:
    frame[seen.tcp + 12] = frame[seen.tcp + 12] & 0xF1 | int(value) << 1


def set_df(frame: bytearray, seen: Seen, value: int | str | bool) -> None:
    if seen.version == 4:
        frame[seen.ip + 6] = frame[seen.ip + 6] & ~0x40 | (0x40 if value else 0)


def set_tos6(frame: bytearray, seen: Seen, value: int | str | bool) -> None:
    """IPv6's traffic class lies across two bytes."""
    frame[seen.ip] = 0x60 | int(value) >> 4
    frame[seen.ip + 1] = (int(value) & 15) << 4 | frame[seen.ip + 1] & 15


def option_setter(kind: int, code: str, skip: int = 0) -> Callable[[bytearray, Seen, int | str | bool], None]:
    """Overwrites the value of an option that is there; one that is not can't be set."""

    def put(frame: bytearray, seen: Seen, value: int | str | bool) -> None:
        at = find_option(frame, seen, kind)
        if at is not None:
            struct.pack_into(code, frame, at + 2 + skip, int(value))

    return put


def drop_sack_ok(frame: bytearray, seen: Seen, value: int | str | bool) -> None:
    if not value:
        strip_options(frame, seen, (4,))


SPECIAL: dict[str, Callable[[bytearray, Seen, int | str | bool], None]] = {
    "flags": set_flags, "offset": set_offset, "reserved": set_reserved, "df": set_df, "tos": set_tos6,
    "mss": option_setter(2, "!H"), "wscale": option_setter(3, "!B"), "sack_ok": drop_sack_ok,
    "tsval": option_setter(8, "!I"), "tsecr": option_setter(8, "!I", 4),
}  # fmt: skip


def find_option(frame: bytes | bytearray, seen: Seen, kind: int) -> int | None:
    """Where an option begins; None when it is not there."""
    at = seen.tcp + 20
    while at < seen.payload:
        if frame[at] == 0:
            return None
        if frame[at] == kind:
            return at
        at += 1 if frame[at] == 1 else max(2, frame[at + 1] if at + 1 < seen.payload else 2)
    return None


def strip_options(frame: bytearray, seen: Seen, kinds: tuple[int, ...]) -> None:
    """NOPs in their place, as middleboxes do: nothing else moves."""
    for kind in kinds:
        while (at := find_option(frame, seen, kind)) is not None:
            length = frame[at + 1]
            frame[at : at + length] = NOP * length


# --- checksums ---------------------------------------------------------------------------------


def fix_checksums(data: bytes, seen: Seen) -> bytes:
    """Both checksums as they should be (RFC 791 3.1, RFC 9293 3.1)."""
    frame = bytearray(data)
    if seen.version == 4:
        frame[seen.ip + 10 : seen.ip + 12] = b"\0\0"
        total = ones_complement_sum(bytes(frame[seen.ip : seen.tcp]))
        struct.pack_into("!H", frame, seen.ip + 10, 0xFFFF - fold(total))
    frame[seen.tcp + 16 : seen.tcp + 18] = b"\0\0"
    segment = bytes(frame[seen.tcp : seen.end])
    total = pseudo_header_sum(seen.src, seen.dst, len(segment)) + ones_complement_sum(segment)
    struct.pack_into("!H", frame, seen.tcp + 16, 0xFFFF - fold(total))
    return bytes(frame)


def set_checksums(data: bytes, seen: Seen, given: dict[str, int | str | bool]) -> bytes:
    frame = bytearray(data)
    if "cksum" in given:
        struct.pack_into("!H", frame, seen.tcp + 16, int(given["cksum"]))
    if "ip_cksum" in given and seen.version == 4:
        struct.pack_into("!H", frame, seen.ip + 10, int(given["ip_cksum"]))
    return bytes(frame)


def corrupt(data: bytes, what: str, byte: int, bit: int, fix: bool) -> bytes:
    """`tcp` or `ip`: that checksum made wrong; `payload`: one bit of its nth byte (from 1) turned over."""
    seen = see(data)
    assert seen is not None
    frame = bytearray(data)
    if what == "payload":
        if not 0 < byte <= seen.payload_len:
            return data
        frame[seen.payload + byte - 1] ^= 1 << bit
        return fix_checksums(bytes(frame), seen) if fix else bytes(frame)
    at = seen.tcp + 16 if what == "tcp" else seen.ip + 10
    if what == "ip" and seen.version == 6:
        return data  # IPv6 has no header checksum
    frame[at] ^= 0x55
    return bytes(frame)
