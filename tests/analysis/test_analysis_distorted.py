"""A healthy connection stays healthy, however badly it was captured or kept: no warning, no error."""

from __future__ import annotations

from io import BytesIO
from random import Random

import pytest
from distort import DISTORTIONS, MS, US, Frames, shuffled

from tcpharness.analysis.capture import analyze
from tcpharness.analysis.finding import CaptureReport
from tcpharness.packet.encode import Frame as Made
from tcpharness.packet.encode import encode
from tcpharness.packet.pcap import Writer
from tcpharness.packet.segment import ACK, FIN, PSH, SYN
from tcpharness.packet.source import Frame

ALARMS = ("warning", "error")
START_NS = 1_700_000_000_000_000_000


class Talk:
    """A client asks, a server answers, often; both close. Numbers wrap, ids count, clocks tick."""

    def __init__(self, version: int, timestamps: bool) -> None:
        self.hosts = (("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2"))[version == 6]
        self.timestamps = timestamps
        self.now = START_NS
        self.seq = [4294967000, 900]
        self.ids = [100, 7000]
        self.frames: Frames = []

    def say(self, who: int, flags: int, payload: bytes = b"", after_ns: int = 200 * US) -> None:
        self.now += after_ns
        self.ids[who] += 1
        echo = (self.now - START_NS) // MS + 5000 * (1 - who)
        clock = (self.now - START_NS) // MS + 5000 * who
        raw = b""
        if flags & SYN:
            raw += b"\x02\x04\x05\xb4\x04\x02" + (b"" if self.timestamps else b"\x01\x03\x03\x07\x01\x01")
        if self.timestamps:
            raw += b"" if flags & SYN else b"\x01\x01"
            raw += b"\x08\x0a" + clock.to_bytes(4, "big") + (echo if flags & ACK else 0).to_bytes(4, "big")
            raw += b"\x01\x03\x03\x07" if flags & SYN else b""
        data = encode(
            Made(
                self.hosts[who], self.hosts[1 - who], (40000, 105)[who], (105, 40000)[who],
                seq=self.seq[who], ack=self.seq[1 - who] if flags & ACK else 0, flags=flags, win=500,
                payload=payload, id=self.ids[who], options=raw,
            )
        )  # fmt: skip
        self.frames.append(Frame(self.now, data, len(data)))
        self.seq[who] = self.seq[who] + len(payload) + bool(flags & (SYN | FIN)) & 0xFFFFFFFF


def healthy(version: int, timestamps: bool) -> Frames:
    talk = Talk(version, timestamps)
    random = Random(1)
    talk.say(0, SYN)
    talk.say(1, SYN | ACK)
    talk.say(0, ACK)
    for turn in range(30):
        talk.say(0, ACK | PSH, random.randbytes(60 + turn), 3 * MS)
        talk.say(1, ACK)
        for _ in range(3):
            talk.say(1, ACK | PSH, random.randbytes(700 + turn), 30 * US)
            talk.say(0, ACK)
    talk.say(0, FIN | ACK, after_ns=MS)
    talk.say(1, FIN | ACK)
    talk.say(0, ACK)
    return talk.frames


def report_of(frames: Frames) -> CaptureReport:
    file = BytesIO()
    writer = Writer(file, frames[0].linktype)
    for frame in frames:
        writer.write(frame.time_ns, frame.data, frame.wire_len)
    file.seek(0)
    return analyze(file)


def alarms(report: CaptureReport) -> list[str]:
    found = [f"{f.frame} {f.name} {f.kind}: {f.text}" for f in report.findings if f.level in ALARMS]
    assert sum(count for (_, _, level), count in report.counts.items() if level in ALARMS) == len(found)
    assert min(report.counts.values(), default=1) > 0
    return found


@pytest.mark.parametrize("name", DISTORTIONS)
@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("version", [4, 6])
def test_no_alarm(name: str, version: int, timestamps: bool) -> None:
    frames = DISTORTIONS[name](healthy(version, timestamps))
    report = report_of(frames)
    assert report.frames == len(frames)
    if not name.startswith("snapped"):
        assert sum(sum(flow.frames) for flow in report.flows) == len(frames), "all of it is TCP"
    if name == "every frame twice within 5 ms" and version == 6 and not timestamps:
        return  # nothing in such a frame tells a copy from what was sent again
    assert not alarms(report)


@pytest.mark.parametrize("seed", range(5))
def test_a_shuffled_capture_says_that_it_is_out_of_order_and_no_more(seed: int) -> None:
    frames = shuffled(healthy(4, True), Random(seed), 300 * US)
    names = {line.split()[1] for line in alarms(report_of(frames))}
    assert names <= {"out_of_order", "ack_of_unseen"}
