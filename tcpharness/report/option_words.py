"""TCP and IPv4 options in tcpdump's words."""

from __future__ import annotations

from collections.abc import Callable

from tcpharness.packet.address import address_text
from tcpharness.packet.segment import (
    EOL,
    MSS,
    NOP,
    OPTIONS,
    SACK,
    SACK_OK,
    SEQ_SPACE,
    TIMESTAMP,
    TWO_NUMBERS,
    WSCALE,
    Segment,
)
from tcpharness.report.mptcp_words import BAD, mptcp_text

ECHO, ECHO_REPLY, CC, CC_NEW, CC_ECHO, MD5, SCPS, USER_TIMEOUT, AO, MPTCP, FAST_OPEN, EXPERIMENT = (
    6, 7, 11, 12, 13, 19, 20, 28, 29, 30, 34, 254,
)  # fmt: skip
NAMES = {
    EOL: "eol", NOP: "nop", MSS: "mss", WSCALE: "wscale", SACK_OK: "sackOK", SACK: "sack", ECHO: "echo",
    ECHO_REPLY: "echoreply", TIMESTAMP: "TS", CC: "cc", CC_NEW: "ccnew", CC_ECHO: "", MD5: "md5",
    SCPS: "scps", USER_TIMEOUT: "uto", AO: "tcp-ao", MPTCP: "mptcp", FAST_OPEN: "tfo", EXPERIMENT: "exp",
}  # fmt: skip
INVALID = " (invalid)"
NO_SECRET = "shared secret not supplied with -M"
CUT = " [|tcp]"  # the capture ends here


def tcp_options_text(segment: Segment, other: int) -> str:
    """All options in order; `other` is what SACK blocks are relative to. A bad one ends the list."""
    room = segment.offset * 4 - OPTIONS
    held = segment.data[segment.tcp_at + OPTIONS : segment.end]
    words: list[str] = []
    at = 0
    while at < room:
        word, size = option_text(held, at, room, segment, other)
        words.append(word)
        at += size
        if word.endswith((BAD, CUT)) or word == "eol":
            break
    return ",".join(words)


def option_text(held: bytes, at: int, room: int, segment: Segment, other: int) -> tuple[str, int]:
    """The option at `at`, and how many bytes it takes."""
    if at >= len(held):
        return CUT, 0
    kind = held[at]
    name = NAMES.get(kind, f"unknown-{kind}")
    if kind in (EOL, NOP):
        return name, 1
    if at + 1 >= len(held):
        return CUT, 0
    length = held[at + 1]
    if length < 2 or at + length > room:
        return BAD, 0
    if kind in FIXED:
        text, size = fixed_text(kind, held[at + 2 :], room - at - 2)
        if kind == MD5 and not segment.whole:
            text = text.replace(NO_SECRET, "snaplen too short")
        # As tcpdump has it: what follows the value is the next option, whatever the length says.
        odd = size + 2 != length and not text.endswith((BAD, CUT))
        return name + text + (f"[len {length}]" if odd else ""), size + 2
    value = held[at + 2 : at + length]
    if len(value) < length - 2:
        return name + cut_text(kind, value, length), 0
    return name + free_text(kind, value, segment.flags, other), length


def fixed_text(kind: int, held: bytes, room: int) -> tuple[str, int]:
    size, text = FIXED[kind]
    if size > room:
        return BAD, size
    return (text(held[:size]) if len(held) >= size else CUT), size


def free_text(kind: int, value: bytes, flags: int, other: int) -> str:
    if kind == SACK:
        return sack_text(value, other)
    if kind == MPTCP:
        return mptcp_text(value, flags)
    return FREE.get(kind, hexadecimal)(value)


def cut_text(kind: int, value: bytes, length: int) -> str:
    """An option of which the capture holds the beginning."""
    if kind == AO and len(value) > 1:
        return ao_text(value) + CUT
    if kind == SACK:
        return f" {(length - 2) // 8} {CUT}"
    return CUT if kind in NAMES else f" 0x{value.hex()}{CUT}"


def sack_text(value: bytes, other: int) -> str:
    if len(value) % 8:
        return " invalid sack"
    edges = [TWO_NUMBERS.unpack_from(value, at) for at in range(0, len(value), 8)]
    blocks = "".join(f"{{{(a - other) % SEQ_SPACE}:{(b - other) % SEQ_SPACE}}}" for a, b in edges)
    return f" {len(edges)} {blocks}"


def hexadecimal(value: bytes) -> str:
    return f" 0x{value.hex()}" if value else ""


def number(value: bytes) -> str:
    return f" {int.from_bytes(value, 'big')}"


def timeout_text(value: bytes) -> str:
    """RFC 5482 has the bit for minutes first; tcpdump reads the last one for it, and so does its line."""
    found = int.from_bytes(value, "big")
    return f" 0x{found:x} {(found >> 1) * (60 if found & 1 else 1)}"


def md5_text(value: bytes) -> str:
    """RFC 2385. It can be verified only with the secret that both ends share."""
    return f" {NO_SECRET}, can't check - {value.hex()}"


def ao_text(value: bytes) -> str:
    """RFC 5925 2.2."""
    if len(value) < 2:
        return INVALID
    return f" keyid {value[0]} rnextkeyid {value[1]}" + (f" mac 0x{value[2:].hex()}" if value[2:] else "")


def cookie_text(value: bytes) -> str:
    """RFC 7413 4.1.1: an empty option asks for a cookie; one has 4 to 16 bytes, an even number."""
    if not value:
        return " cookiereq"
    return f" cookie {value.hex()}" if 4 <= len(value) <= 16 and not len(value) % 2 else INVALID


def experiment_text(value: bytes) -> str:
    """RFC 6994: the first two bytes tell the experiment; Fast Open was one."""
    if len(value) < 2:
        return BAD
    return f"-tfo{cookie_text(value[2:])}" if value[:2] == b"\xf9\x89" else f"-{value[:2].hex()}"


# kind -> the length that the value must have, how it is printed
FIXED: dict[int, tuple[int, Callable[[bytes], str]]] = {
    MSS: (2, number),
    WSCALE: (1, number),
    SACK_OK: (0, lambda value: ""),
    ECHO: (4, number),
    ECHO_REPLY: (4, number),
    TIMESTAMP: (8, lambda value: " val {} ecr {}".format(*TWO_NUMBERS.unpack(value))),
    CC: (4, number),
    CC_NEW: (4, number),
    CC_ECHO: (4, number),
    MD5: (16, md5_text),
    SCPS: (2, lambda value: f" cap {value[0]:02x} id {value[1]}"),
    USER_TIMEOUT: (2, timeout_text),
}
FREE: dict[int, Callable[[bytes], str]] = {
    AO: ao_text,
    FAST_OPEN: lambda value: f" {cookie_text(value)}",
    EXPERIMENT: experiment_text,
}


# --- IPv4, RFC 791 3.1 -------------------------------------------------------------------------

IP_NAMES = {
    0: "EOL",
    1: "NOP",
    7: "RR",
    68: "timestamp",
    130: "security",
    131: "LSRR",
    137: "SSRR",
    148: "RA",
}


def ip_options_text(data: bytes) -> str:
    words: list[str] = []
    at = 0
    while at < len(data):
        kind = data[at]
        name = IP_NAMES.get(kind, f"unknown {kind}")
        length = data[at + 1] if kind > 1 and at + 1 < len(data) else 1
        if kind > 1 and (length < 2 or at + length > len(data)):
            words.append(f"{name} [bad length {length}]")
            break
        value = data[at + 2 : at + length]
        words.append(name + IP_VALUES[kind](value) if kind in IP_VALUES else name)
        at += length
        if kind == 0:
            break
    return ",".join(words)


def route_text(value: bytes) -> str:
    """The addresses; those before the pointer have been written or visited, and a comma follows them."""
    if not value:
        return " [bad length 2]"
    pointer = value[0]
    words = "" if pointer >= 4 and not pointer % 4 else f" [bad ptr {pointer}]"
    for at in range(1, len(value) - 3, 4):
        done = pointer == 0 or at + 3 <= pointer - 1
        words += f" {address_text(value[at : at + 4])}{',' if done else ''}"
    return words


def times_text(value: bytes) -> str:
    """Times at each hop, with addresses or without; ^ is where the next one goes."""
    if len(value) < 2:
        return f"[bad length {len(value) + 2}]"
    pointer, flag, missed = value[0], value[1] & 15, value[1] >> 4
    size = 4 if flag == 0 else 8
    words = " TS{" + {0: "TSONLY", 1: "TS+ADDR", 2: "PRESPEC"}.get(flag, f"[bad ts type {flag}]")
    for at in range(2, len(value) - size + 1, size):
        address = address_text(value[at : at + 4]) if size == 8 else ""
        time = int.from_bytes(value[at + size - 4 : at + size], "big")
        words += f"{' ^ ' if at + 3 == pointer else ' '}{time}@{address}"
    words += " ^ " if pointer == len(value) + 3 else ""
    return words + (f" [{missed} hops not recorded]}}" if missed else "}")


def alert_text(value: bytes) -> str:
    """RFC 2113 2.1: the only value there is, zero, goes without saying."""
    found = int.from_bytes(value, "big")
    return f" value {found}" if found else ""


IP_VALUES: dict[int, Callable[[bytes], str]] = {
    7: route_text,
    68: times_text,
    131: route_text,
    137: route_text,
    148: alert_text,
}
