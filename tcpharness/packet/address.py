"""Addresses as text and as bytes, both ways, remembered: a capture holds few of them and many packets."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65536)
def address_text(packed: bytes) -> str:
    """Four or sixteen bytes as text, IPv6 in the form of RFC 5952."""
    if len(packed) == 4:
        return ".".join(map(str, packed))
    from ipaddress import IPv6Address  # for IPv6 alone: its import takes longer than a small capture

    return str(IPv6Address(packed))


@lru_cache(maxsize=65536)
def address_bytes(text: str) -> bytes:
    """The packed form; ValueError when the text is no address."""
    from ipaddress import ip_address

    return ip_address(text).packed


@lru_cache(maxsize=4096)
def mac_text(packed: bytes) -> str:
    return packed.hex(":")
