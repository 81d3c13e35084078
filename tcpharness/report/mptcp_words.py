"""The Multipath TCP option (RFC 8684 3, RFC 6824 for version 0) in tcpdump's words."""

from __future__ import annotations

from collections.abc import Callable

from tcpharness.packet.address import address_text
from tcpharness.packet.segment import ACK, SYN

BAD = "[bad opt]"
# The option's value (its kind and length taken off), the segment's flags; an end in BAD: of no known form.
Reader = Callable[[bytes, int], str]


def mptcp_text(value: bytes, flags: int) -> str:
    """What stands behind `mptcp`: the option's length, the subtype, its fields."""
    if not value:
        return BAD
    name, reader = SUBTYPES.get(value[0] >> 4, ("unknown", lambda value, flags: ""))
    return f" {len(value) + 2} {name}{reader(value, flags)}"


def hexadecimal(value: bytes) -> str:
    return f"0x{int.from_bytes(value, 'big'):x}"


def capable(value: bytes, flags: int) -> str:
    """RFC 8684 3.1: version, flags; in a SYN no key or one, later both and maybe a data length."""
    if len(value) not in ((2, 10) if flags & SYN else (18, 20) if flags & ACK else ()):
        return BAD
    version = value[0] & 15
    if version > 1:
        return f" Unknown Version ({version})"
    keys = ",".join(hexadecimal(value[at : at + 8]) for at in range(2, min(len(value), 18), 8))
    return f" v{version}{' csum' if value[1] & 0x80 else ''}" + (f" {{{keys}}}" if keys else "")


def join(value: bytes, flags: int) -> str:
    """RFC 8684 3.2: in a SYN, a SYN-ACK, or the third ACK, told apart by the length."""
    backup = " backup" if value[0] & 1 else ""
    if len(value) == 10 and flags & SYN:
        return f"{backup} id {value[1]} token {hexadecimal(value[2:6])} nonce {hexadecimal(value[6:])}"
    if len(value) == 14 and flags & SYN and flags & ACK:
        return f"{backup} id {value[1]} hmac {hexadecimal(value[2:10])} nonce {hexadecimal(value[10:])}"
    return f" hmac 0x{value[2:].hex()}" if len(value) == 22 and flags & ACK else BAD


class Fields:
    """Numbers cut off a value one after the other; None when there is not enough left."""

    def __init__(self, value: bytes) -> None:
        self.value = value

    def take(self, size: int) -> int | None:
        if len(self.value) < size:
            return None
        number, self.value = int.from_bytes(self.value[:size], "big"), self.value[size:]
        return number


def dss(value: bytes, flags: int) -> str:
    """RFC 8684 3.3: acknowledgement and mapping of data sequence numbers, 4 or 8 bytes each."""
    if len(value) < 2 or flags & SYN:
        return BAD
    bits, fields = value[1], Fields(value[2:])
    words = " fin" if bits & 0x10 else ""
    for name, there, long in (("ack", 0x01, 0x02), ("seq", 0x04, 0x08)):
        if bits & there:
            number = fields.take(8 if bits & long else 4)
            words += f" {name} " + (BAD if number is None else str(number))
            if number is None:
                return words
    return words + (mapping(fields) if bits & 0x04 else BAD if fields.value else "")


def mapping(fields: Fields) -> str:
    subseq = fields.take(4)
    if subseq is None:
        return BAD
    length = fields.take(2)
    if length is None:
        return f" subseq {subseq}{BAD}"
    checksum = fields.take(2)
    words = f" subseq {subseq} len {length}" + (f" csum 0x{checksum:x}" if checksum is not None else "")
    return words + (BAD if fields.value else "")


# The option's length -> bytes of address, port and HMAC
ADDRESSES = {
    8: (4, 0, 0), 10: (4, 2, 0), 16: (4, 0, 8), 18: (4, 2, 8),
    20: (16, 0, 0), 22: (16, 2, 0), 28: (16, 0, 8), 30: (16, 2, 8),
}  # fmt: skip
VERSIONS = {0: " v1", 1: " v1-echo", 4: " v0-ip4", 6: " v0-ip6"}


def add_address(value: bytes, flags: int) -> str:
    """RFC 8684 3.4.1; version 0 has the IP version in place of the echo bit."""
    if len(value) + 2 not in ADDRESSES:
        return BAD
    address, port, hmac = ADDRESSES[len(value) + 2]
    version = VERSIONS.get(value[0] & 15, " [bad version/echo]")
    words = f"{version} id {value[1]} {address_text(value[2 : 2 + address])}"
    at = 2 + address
    if port:
        words += f":{int.from_bytes(value[at : at + 2], 'big')}"
        at += 2
    return words + (f" hmac {hexadecimal(value[at:])}" if hmac else "")


def remove_address(value: bytes, flags: int) -> str:
    """RFC 8684 3.4.2: one identifier a byte."""
    return " id " + " ".join(map(str, value[1:])) if len(value) > 1 else BAD


def priority(value: bytes, flags: int) -> str:
    """RFC 8684 3.3.8."""
    backup = " backup" if value[0] & 1 else " non-backup"
    return {1: backup, 2: f"{backup} id {value[-1]}"}.get(len(value), BAD)


def fail(value: bytes, flags: int) -> str:
    """RFC 8684 3.7."""
    return f" seq {int.from_bytes(value[2:], 'big')}" if len(value) == 10 else BAD


def fast_close(value: bytes, flags: int) -> str:
    """RFC 8684 3.5."""
    return f" key {hexadecimal(value[2:])}" if len(value) == 10 else BAD


SUBTYPES: dict[int, tuple[str, Reader]] = {
    0: ("capable", capable),
    1: ("join", join),
    2: ("dss", dss),
    3: ("add-addr", add_address),
    4: ("rem-addr", remove_address),
    5: ("prio", priority),
    6: ("fail", fail),
    7: ("fast-close", fast_close),
}
