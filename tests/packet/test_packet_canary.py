"""The canary's addresses are its own."""

from __future__ import annotations

import pytest

from tcpharness.packet.canary import addresses, is_canary, is_reserved, macs, number_of, place_of, vantage_of


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
