"""A damaged checksum that looks like offload by chance is damage, once sums are known to be computed."""

from __future__ import annotations

import io

import pytest

from tcpharness.analysis.capture import analyze
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.pcap import Writer
from tcpharness.packet.segment import ACK, PSH, SYN

CLIENT, SERVER = ("10.0.0.1", "10.0.0.2", 4000, 105), ("10.0.0.2", "10.0.0.1", 105, 4000)


def names(sums: list[int | str | None]) -> list[str]:
    """A handshake, then data segments with these checksums (None: right); the findings about checksums."""
    file = io.BytesIO()
    writer = Writer(file)
    first = sums[:1]
    frames = [
        Frame(*CLIENT, seq=10, flags=SYN, win=999, cksum=first[0] if first == ["offload"] else None),
        Frame(*SERVER, seq=70, ack=11, flags=SYN | ACK, win=999),
        Frame(*CLIENT, seq=11, ack=71, flags=ACK, win=999, cksum=first[0] if first == ["offload"] else None),
    ]
    frames += [
        Frame(
            *CLIENT, seq=11 + 4 * n, ack=71, flags=ACK | PSH, win=999, payload=b"abcd", id=n + 1, cksum=cksum
        )
        for n, cksum in enumerate(sums)
    ]
    for number, frame in enumerate(frames):
        writer.write(number * 1_000_000, encode(frame))
    file.seek(0)
    found = [f.name for f in analyze(file).findings]
    return [name for name in found if "checksum" in name]


@pytest.mark.parametrize("lie", [0, "offload"])
def test_one_among_right_ones_is_damage(lie: int | str) -> None:
    assert names([None, None, lie]) == ["bad_tcp_checksum"]


def test_a_device_that_computes_none_is_offload() -> None:
    assert names(["offload", "offload", "offload"]) == ["checksum_offload"]
