"""How the canary's frames are known: by their MACs, and by addresses that no host owns.

    0a 63 61 6e SS SS    whom it is for, nobody; SS SS: the frame's number, from 0
    06 63 61 6e 61 NN    whom it is from; NN: the number of the vantage
    198.18.NN.CC         who opens conversation CC at vantage NN; 198.19.NN.CC answers
    2001:2:0:NN::CC      the same for IPv6; 2001:2:0:1NN::CC answers

Both networks are for benchmarks (RFC 2544, RFC 5180): no lab uses them. The receiver's MAC is no
group's and no interface's, so every kernel drops such a frame before it looks into it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from struct import Struct

from tcpharness.packet.address import address_bytes

MAC_HEAD = b"\x06cana"
NOBODY = b"\x0acan"
NOT_CANARY = "not (ether[6:4] == 0x0663616e)"  # as a capture filter
NETWORKS = (ip_network("198.18.0.0/15"), ip_network("2001:2::/48"))
MOST_VANTAGES = 256
KERNEL = 250  # no conversation of frames: sockets of a host (lab/kernel_canary.py); 251 as well
KERNEL_INTERFACE = "canary0"  # where the host has its end
IPV6 = b"\x86\xdd"
VANTAGES_APART = 8
FILE_HEADER_LEN = 24
RECORD = Struct("=IIII")  # as tcpdump writes it on this machine
NATIVE = {(0xA1B2C3D4).to_bytes(4, sys.byteorder), (0xA1B23C4D).to_bytes(4, sys.byteorder)}


def number_at(lab: int, vantage: int) -> int:
    """The number of a lab's vantage: labs that run one after the other do not share them."""
    return (lab * VANTAGES_APART + vantage) % MOST_VANTAGES


def is_canary(frame: bytes) -> bool:
    """True for an Ethernet frame of a canary, also one that was cut behind its MACs."""
    return frame[6:11] == MAC_HEAD


def vantage_of(frame: bytes) -> int:
    """The number of the vantage whose canary it is."""
    return frame[11]


def number_of(frame: bytes) -> int:
    """Its place in that canary, from 0."""
    return int.from_bytes(frame[4:6], "big")


def macs(vantage: int, number: int) -> bytes:
    """The first twelve bytes of a frame."""
    return NOBODY + number.to_bytes(2, "big") + MAC_HEAD + bytes((vantage,))


def addresses(vantage: int, conversation: int, version: int) -> tuple[str, str]:
    """Who opens the conversation, and who answers."""
    if version == 6:
        return f"2001:2:0:{vantage:x}::{conversation:x}", f"2001:2:0:1{vantage:02x}::{conversation:x}"
    return f"198.18.{vantage}.{conversation}", f"198.19.{vantage}.{conversation}"


def kernel_addresses(number: int, version: int) -> tuple[str, str, str]:
    """A host's in the kernel's canary, and two of nobody at the other end."""
    own, nobody = addresses(number, KERNEL, version)
    _, other = addresses(number, KERNEL + 1, version)
    return str(ip_address(own)), str(ip_address(nobody)), str(ip_address(other))


def is_kernels(address: str) -> bool:
    """True for all of these."""
    place = place_of(address)
    return place is not None and place[1] in (KERNEL, KERNEL + 1)


def moved(frame: bytes, vantage: int) -> bytes:
    """A whole frame of the canary of vantage 0 as it is at another one.

    Both addresses change in one byte, and sums over them by as much (RFC 1624 3): a wrong one stays wrong.
    """
    there = bytearray(frame)
    there[11] = vantage
    if frame[12:14] == IPV6:
        there[29] = there[45] = vantage
        change, first = 2 * vantage, 14 + 40
    else:
        there[28] = there[32] = vantage
        change, first = 2 * (vantage << 8), 14 + 4 * (frame[14] & 15)
        change_sum(there, 14 + 10, change)
    change_sum(there, first + 16, change)
    return bytes(there)


def change_sum(frame: bytearray, at: int, change: int) -> None:
    """What the sum is over has grown by so much."""
    total = (0xFFFF ^ int.from_bytes(frame[at : at + 2], "big")) + change
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    frame[at : at + 2] = (0xFFFF ^ total).to_bytes(2, "big")


def place_of(address: str) -> tuple[int, int] | None:
    """(vantage, conversation) of one of its addresses; None for any other."""
    if not address.startswith(("198.1", "2001:2:")):
        return None
    packed = address_bytes(address)
    if len(packed) == 4:
        return (packed[2], packed[3]) if packed[:2] in (b"\xc6\x12", b"\xc6\x13") else None
    return (packed[7], packed[15]) if packed[:6] == b"\x20\x01\0\x02\0\0" else None


def is_reserved(network: str) -> bool:
    """True for an address or a network that meets those of the canary, which no lab may use."""
    given = ip_network(network, strict=False)
    return any(
        given.overlaps(own) for own in NETWORKS if own.version == given.version and given.prefixlen > 0
    )


@dataclass(slots=True)
class Parted:
    """A capture's bytes without the canaries that went by, and their frames."""

    kept_len: int  # so much of the file is as it was; what follows in its place is `rest`
    rest: bytes = b""
    frames: list[bytes] = field(default_factory=list)


def part(data: bytes) -> Parted:
    """Takes the canaries out of a pcap file of this machine; what can't be read is left as it is."""
    if MAC_HEAD not in data or data[:4] not in NATIVE:
        return Parted(len(data))
    at, first = FILE_HEADER_LEN, -1
    rest, frames = bytearray(), []
    while at + RECORD.size <= len(data):
        end = at + RECORD.size + RECORD.unpack_from(data, at)[2]
        if end > len(data):
            break
        frame_at = at + RECORD.size
        if data[frame_at + 6 : frame_at + 11] == MAC_HEAD:
            first = at if first < 0 else first
            frames.append(data[frame_at:end])
        elif first >= 0:
            rest += data[at:end]
        at = end
    if first < 0:
        return Parted(len(data))
    return Parted(first, bytes(rest + data[at:]), frames)
