"""The canary's addresses are its own."""

from __future__ import annotations

from io import BytesIO

import pytest

from tcpharness.packet.canary import (
    MAC_HEAD,
    addresses,
    is_canary,
    is_reserved,
    macs,
    number_of,
    part,
    place_of,
    vantage_of,
)
from tcpharness.packet.pcap import Writer, read


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("vantage", "conversation"), [(0, 1), (255, 255), (17, 40)])
def test_addresses_say_whose_they_are(version: int, vantage: int, conversation: int) -> None:
    ends = addresses(vantage, conversation, version)
    assert ends[0] != ends[1]
    for end in ends:
        assert place_of(end) == (vantage, conversation)
        assert is_reserved(end)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "198.17.0.1", "198.100.18.1", "198.20.0.1", "2001:2:1::1", "fd00:7c::1", "::1"]
)
def test_others_are_nobodys(address: str) -> None:
    assert place_of(address) is None
    assert not is_reserved(address)


def test_networks_that_meet_them_are_reserved() -> None:
    assert is_reserved("198.18.5.0/24")
    assert is_reserved("198.16.0.0/12")
    assert not is_reserved("10.0.0.0/8")
    assert not is_reserved("0.0.0.0/0")  # a default route means all the rest


def test_macs_carry_both_numbers() -> None:
    frame = macs(3, 517) + b"\x08\x00"
    assert is_canary(frame)
    assert vantage_of(frame) == 3
    assert number_of(frame) == 517
    assert not is_canary(bytes.fromhex("020000000001020000000002") + b"\x08\x00")


def capture(*frames: bytes) -> bytes:
    file = BytesIO()
    writer = Writer(file)
    for number, frame in enumerate(frames):
        writer.write(number * 1_000_000, frame)
    return file.getvalue()


OWN = bytes.fromhex("020000000001020000000002") + b"\x08\x00" + bytes(50)
OTHER = bytes.fromhex("020000000002020000000001") + b"\x08\x00" + macs(1, 1) * 4


def parted(data: bytes) -> tuple[bytes, list[bytes]]:
    found = part(data)
    return data[: found.kept_len] + found.rest, found.frames


def test_canaries_are_taken_out_of_a_capture() -> None:
    first, second = macs(0, 0) + b"\x08\x00a", macs(1, 0) + b"\x08\x00b"
    data = capture(OWN, OTHER, first, OWN, second, OTHER)
    kept, frames = parted(data)
    assert frames == [first, second]
    assert [frame.data for frame in read(kept)] == [OWN, OTHER, OWN, OTHER]
    assert [frame.time_ns for frame in read(kept)] == [0, 1_000_000, 3_000_000, 5_000_000]


def test_a_capture_without_them_stays_as_it_is() -> None:
    for data in (capture(OWN, OTHER), capture(), b"", b"no capture" + MAC_HEAD):
        assert parted(data) == (data, [])


def test_what_is_cut_off_at_the_end_is_kept() -> None:
    data = capture(OWN, macs(0, 0) + b"\x08\x00a", OWN)[:-5]
    kept, frames = parted(data)
    assert len(frames) == 1
    assert kept == capture(OWN) + data[-(16 + len(OWN) - 5) :]
