"""bench/parity: what both say, what one says and why; the reasons are checked, and all are documented."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Writer

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from parity import Tally, compare, lines, tshark  # noqa: E402
from parity_facts import Account, account  # noqa: E402
from parity_reasons import AT_LAST, EVERYWHERE, FAMILIES, ONLY_OURS, ONLY_THEIRS  # noqa: E402

OPEN = """
0.000 > S 0:0(0) win 65535 <mss 1460>
0.001 < S. 0:0(0) ack 1 win 65535 <mss 1460>
0.002 > . 1:1(0) ack 1 win 65535
"""
STALLED = f"""{OPEN}
0.003 > P. 1:1001(1000) ack 1 win 65535
0.004 < . 1:1(0) ack 1001 win 0
0.300 > . 1000:1000(0) ack 1 win 65535
0.301 < . 1:1(0) ack 1001 win 0
"""
DAMAGED = f"""{OPEN}
0.003 > P. 1:1001(1000) ack 1 win 65535 [cksum bad]
0.250 > P. 1:1001(1000) ack 1 win 65535
0.251 < . 1:1(0) ack 1001 win 65535
"""


def capture(text: str, path: Path) -> Path:
    with path.open("wb") as file:
        writer = Writer(file)
        for line in filter(None, text.split("\n")):
            segment = parse_line(line)
            writer.write(1_700_000_000_000_000_000 + segment.time_ns, segment.data)
    return path


def compared(said: dict[int, set[str]], ours: Account) -> dict[str, Tally]:
    """As if tshark had set these fields, by frame, and none in the others."""
    tallies = {name: Tally() for name in FAMILIES}
    theirs = {frame: said.get(frame, set()) for frame in ours.facts}
    compare(theirs, ours, "story.pcap", tallies)
    return tallies


@pytest.fixture
def stalled(tmp_path: Path) -> Account:
    return account(capture(STALLED, tmp_path / "stalled.pcap"))


def test_a_probe_of_linux_is_a_keep_alive_to_tshark_and_the_reason_is_told(stalled: Account) -> None:
    tallies = compared({6: {"tcp.analysis.keep_alive"}}, stalled)
    assert dict(tallies["keep-alive"].theirs) == {
        "keep_alive: a window probe: the other side's window is closed (Linux sends no byte)": 1
    }
    ours = tallies["windows and probes"].ours
    assert (
        "zero_window_probe: Linux probes without a byte: tshark calls it keep_alive (tcp_xmit_probe_skb)"
        in ours
    )


def test_what_no_condition_explains_stays_unexplained_with_its_evidence(stalled: Account) -> None:
    tally = compared({4: {"tcp.analysis.retransmission"}}, stalled)["loss and order"]
    assert len(tally.unexplained) == 1
    assert tally.unexplained[0].startswith(
        "story.pcap frame 4: only tshark says retransmission; next, 1000 bytes"
    )
    assert any("unexplained 1 (100.00%)" in line for line in lines({"loss and order": tally}, 5))


def test_both_say_the_same(stalled: Account) -> None:
    tally = compared({5: {"tcp.analysis.zero_window"}}, stalled)["windows and probes"]
    assert tally.both == 1


def test_a_damaged_first_copy_is_no_copy(tmp_path: Path) -> None:
    ours = account(capture(DAMAGED, tmp_path / "damaged.pcap"))
    tallies = compared({5: {"tcp.analysis.retransmission"}, 4: {"tcp.checksum.status"}}, ours)
    why = "retransmission: a first copy that came whole (corrupted_then_retransmitted)"
    assert list(tallies["loss and order"].theirs) == [why]
    assert tallies["checksum"].both == 1


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_beside_the_real_tshark_nothing_stays_unexplained(tmp_path: Path) -> None:
    for name, text in {"stalled": STALLED, "damaged": DAMAGED}.items():
        path = capture(text, tmp_path / f"{name}.pcap")
        tallies = {family: Tally() for family in FAMILIES}
        compare(tshark(path), account(path), path.name, tallies)
        assert [tally.unexplained for tally in tallies.values() if tally.unexplained] == []
        assert sum(tally.both for tally in tallies.values()) >= 1


def test_every_reason_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "parity.md").read_text()
    tables = [EVERYWHERE, AT_LAST, *ONLY_THEIRS.values(), *ONLY_OURS.values()]
    assert [text for table in tables for text, _ in table if text not in page] == []
