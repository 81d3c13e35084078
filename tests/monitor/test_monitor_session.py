# ruff: noqa: E501
"""One process for many captures: the same findings as from one for each, and what becomes of its end."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tcpharness.evidence import CaptureOutcome, MonitorOutcome
from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.library import load_shipped
from tcpharness.monitor.post import Post
from tcpharness.monitor.room import MonitorRoom
from tcpharness.monitor.session import MOST_SERVICES
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.pcap import Writer
from tcpharness.packet.segment import flags_value
from tcpharness.scenario.monitor import Description, MonitorUse
from tcpharness.scenario.monitor_load import load_description
from tcpharness.scenario.place import Place

pytestmark = pytest.mark.netns
AT = Place("x.yaml", 1, 1)

# It says of every frame how many it has seen, and of a capture's end so.
COUNTER = """\
monitor: counter
read: ["PYTHON", "-u", "-c", "CODE"]
per: session
feed: {mark: {end: 1}}
timeout: 3s
most: 1 MiB
output: {format: keyvalue}
fields: {name: n, frame: frame}
"""
CODE = r"""
import struct, sys
source, n = sys.stdin.buffer, 0
source.read(24)
while head := source.read(16):
    data, n = source.read(struct.unpack("<IIII", head)[2]), n + 1
    end = data[12:14] == bytes((0x88, 0xb5))
    port = 0 if end else struct.unpack(">H", data[36:38])[0]
    MIDDLE
    print(f"frame={n} n=port{port} end={int(end)}")
"""


def counter(middle: str = "", *, wrong_mark: bool = False) -> Description:
    import sys

    code = CODE.replace("MIDDLE", middle).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    text = COUNTER.replace("PYTHON", sys.executable).replace("CODE", code)
    return load_description(text.replace("{end: 1}", "{end: 7}") if wrong_mark else text, "m.yaml")


def capture(folder: Path, name: str, ports: Sequence[int], *, net: int = 0) -> CaptureOutcome:
    """A SYN to each of the ports, and one of them again."""
    path = folder / f"{name}.pcap"
    with path.open("wb") as file:
        writer = Writer(file)
        for number, port in enumerate([*ports, ports[0]]):
            frame = Frame(
                f"10.0.{net}.1",
                f"10.0.{net}.2",
                40000,
                port,
                seq=port,
                ack=0,
                flags=flags_value("S"),
                win=1000,
            )
            writer.write(1_700_000_000_000_000_000 + number * 1_000_000, encode(frame))
    return CaptureOutcome(name, "client", "eth0", str(path), marker_seen=True)


Work = Callable[[MonitorRoom], Awaitable[list[MonitorOutcome]]]


def in_room(spawner: Spawner, folder: Path, work: Work) -> list[MonitorOutcome]:
    async def run() -> list[MonitorOutcome]:
        async with MonitorRoom(spawner, folder) as room:
            return await work(room)

    return asyncio.run(run())


def reader(
    description: Description, folder: Path, options: dict[str, str] | None = None
) -> Callable[[MonitorRoom, CaptureOutcome], Awaitable[MonitorOutcome]]:
    given = tuple((name, value, AT) for name, value in (options or {}).items())
    use = MonitorUse(description.name, AT, options=given, description=description)

    async def read(room: MonitorRoom, capture: CaptureOutcome) -> MonitorOutcome:
        own = folder / f"of-{capture.vantage}"
        own.mkdir(exist_ok=True)
        post = Post(
            use, description, capture.vantage, "client", "eth0", "10.0.0.1", folder, own / "monitor", 0, 4
        )
        (outcome,) = await room.read([post], {capture.vantage: capture}, own)
        return outcome

    return read


def names(outcome: MonitorOutcome) -> list[tuple[str, int]]:
    return [(finding.name, finding.frame) for finding in outcome.findings]


def test_frames_are_counted_anew_in_each_capture(spawner: Spawner, tmp_path: Path) -> None:
    one, two = capture(tmp_path, "one", [1, 2]), capture(tmp_path, "two", [3], net=1)
    read = reader(counter(), tmp_path)

    async def work(room: MonitorRoom) -> list[MonitorOutcome]:
        return [await read(room, one), await read(room, two)]

    first, second = in_room(spawner, tmp_path, work)
    assert (first.error, second.error) == (None, None)
    assert names(first) == [("port1", 1), ("port2", 2), ("port1", 3)]
    assert names(second) == [("port3", 1), ("port3", 2)]
    assert not list(tmp_path.glob("session-*"))


def test_addresses_that_it_has_seen_go_to_another_process(spawner: Spawner, tmp_path: Path) -> None:
    captures = [capture(tmp_path, f"c{n}", [n], net=n % 2) for n in range(4)]
    read = reader(counter("port = globals().setdefault('tag', __import__('os').urandom(4).hex())"), tmp_path)

    async def work(room: MonitorRoom) -> list[MonitorOutcome]:
        return [await read(room, each) for each in captures]

    processes = [outcome.findings[0].name for outcome in in_room(spawner, tmp_path, work)]
    assert processes[0] == processes[1]
    assert processes[2] == processes[3] != processes[0]


def test_of_many_captures_with_the_same_addresses_some_wait(spawner: Spawner, tmp_path: Path) -> None:
    captures = [capture(tmp_path, f"c{n}", [n]) for n in range(2 * MOST_SERVICES)]
    started: list[int] = []
    read = reader(counter(), tmp_path)

    async def work(room: MonitorRoom) -> list[MonitorOutcome]:
        reading = [asyncio.ensure_future(read(room, each)) for each in captures]
        while any(not task.done() for task in reading):
            started.append(len(list(tmp_path.glob("session-*"))))
            await asyncio.wait(reading, timeout=0.01)
        return [task.result() for task in reading]

    outcomes = in_room(spawner, tmp_path, work)
    assert [outcome.error for outcome in outcomes] == [None] * len(captures)
    assert [names(outcome)[0] for outcome in outcomes] == [(f"port{n}", 1) for n in range(len(captures))]
    assert max(started) <= MOST_SERVICES


TROUBLE = {
    "dies": ("if port == 666: print('dying', file=sys.stderr); sys.exit(3)", "it ended with status 3; it said: dying"),
    "hangs": ("if port == 666: print('stuck', file=sys.stderr); import time; time.sleep(60)", "it was not done within 3 s; it said: stuck"),
    "floods": ("while port == 666: print('x' * 1000)", "it wrote more than 1 MiB"),
    "half a line": ("if port == 666: print('no pair')", "its output can't be read to its end: line 2 has no key=value: no pair"),
}  # fmt: skip


@pytest.mark.parametrize("how", TROUBLE)
def test_trouble_with_one_capture_is_none_of_the_next(how: str, spawner: Spawner, tmp_path: Path) -> None:
    middle, says = TROUBLE[how]
    captures = [capture(tmp_path, f"c{n}", [port, 2], net=n) for n, port in enumerate((1, 666, 1))]
    captures[1] = capture(tmp_path, "c1", [2, 666], net=1)
    read = reader(counter(middle), tmp_path)

    async def work(room: MonitorRoom) -> list[MonitorOutcome]:
        return [await read(room, each) for each in captures]

    before, bad, after = in_room(spawner, tmp_path, work)
    assert bad.error is not None
    assert says in bad.error
    assert names(before) == names(after) == [("port1", 1), ("port2", 2), ("port1", 3)]
    assert (before.error, after.error) == (None, None)


def test_one_that_never_reports_the_end(spawner: Spawner, tmp_path: Path) -> None:
    one = capture(tmp_path, "one", [1])
    read = reader(counter(wrong_mark=True), tmp_path)

    async def work(room: MonitorRoom) -> list[MonitorOutcome]:
        return [await read(room, one)]

    (outcome,) = in_room(spawner, tmp_path, work)
    assert (outcome.error or "").startswith("it was not done within 3 s; it said: frame=1 n=port1 end=0")


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed: apt-get install tshark")
def test_tshark_finds_the_same_as_a_process_for_each(spawner: Spawner, tmp_path: Path) -> None:
    captures = [capture(tmp_path, f"c{n}", [n + 1, 80], net=n % 3) for n in range(5)]
    read = reader(load_shipped("tshark"), tmp_path)

    async def work(room: MonitorRoom) -> list[MonitorOutcome]:
        return list(await asyncio.gather(*(read(room, each) for each in captures)))

    for outcome, each in zip(in_room(spawner, tmp_path, work), captures, strict=True):
        assert outcome.error is None
        alone = subprocess.run(
            ["tshark", "-n", "-r", each.file, "-Y", "tcp.analysis.retransmission", "-T", "fields", "-e", "frame.number"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        again = [str(f.frame) for f in outcome.findings if f.name == "syn_retransmission"]
        assert again == alone.stdout.split() == ["3"]
        assert outcome.version.startswith("TShark")


RULES = """\
alert tcp any any -> any 80 (msg:"web"; flags:S; sid:1000001; rev:1;)
alert tcp any any -> any 9 (msg:"discard"; flags:S; sid:1000002; rev:1;)
"""


@pytest.mark.skipif(
    shutil.which("suricata") is None, reason="suricata is not installed: apt-get install suricata"
)
def test_suricata_with_rules_of_ones_own(spawner: Spawner, tmp_path: Path) -> None:
    (tmp_path / "my.rules").write_text(RULES)
    captures = [capture(tmp_path, "one", [80, 9]), capture(tmp_path, "two", [80])]
    read = reader(load_shipped("suricata"), tmp_path, {"rules": "my.rules"})

    async def work(room: MonitorRoom) -> list[MonitorOutcome]:
        return [await read(room, each) for each in captures]

    one, two = in_room(spawner, tmp_path, work)
    assert (one.error, two.error) == (None, None)
    assert sorted({(f.name, f.own[-1]) for f in one.findings}) == [("discard", "1000002"), ("web", "1000001")]
    assert {f.name for f in two.findings} == {"web"}
    assert one.findings[0].flow is not None
    assert one.findings[0].flow.dst == "10.0.0.2"


@pytest.mark.skipif(
    shutil.which("suricata") is None, reason="suricata is not installed: apt-get install suricata"
)
def test_suricata_with_a_configuration_that_is_none(spawner: Spawner, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("no: [configuration")
    read = reader(load_shipped("suricata"), tmp_path, {"config": "mine.yaml"})
    one = capture(tmp_path, "one", [1])

    async def work(room: MonitorRoom) -> list[MonitorOutcome]:
        return [await read(room, one)]

    (outcome,) = in_room(spawner, tmp_path, work)
    assert (outcome.error or "").startswith("it ended with status 1; it said: ")
    assert "Invalid configuration file" in (outcome.error or "")
