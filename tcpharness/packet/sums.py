"""The inner loop of the Internet checksum (RFC 1071): the one place without bounds checks, behind a guard."""

from __future__ import annotations

COMPILED = not __file__.endswith(".py")


def is_compiled() -> bool:
    """True where the analysis runs as the compiled core, False where as plain Python."""
    return COMPILED


def sum16(data: bytes, at: int, end: int) -> int:
    """The sum of the big-endian 16-bit words of data[at:end], an odd last byte padded with zero.

    Not folded: only its remainder by 65535 means something, for 2**16 is 1 modulo that. IndexError when
    the range is not inside the data.
    """
    if at < 0 or end < at or end > len(data):
        raise IndexError(f"{at}:{end} of {len(data)} bytes")
    if not COMPILED:
        # A long number's remainder is the folded sum of its digits, and costs the interpreter one step.
        number = int.from_bytes(data[at:end], "big")
        return (number << 8 if (end - at) & 1 else number) % 0xFFFF
    octets = data  # in C the bytes themselves
    even = odd = 0
    for i in range(at, end - 1, 2):
        even += octets[i]
        odd += octets[i + 1]
    if (end - at) & 1:
        even += octets[end - 1]
    total = even
    return (total << 8) + odd
