"""Every condition of the canary is reported where it should be, and nothing else is."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tcpharness.analysis.canary import (
    CONDITIONS,
    KERNEL_NAMES,
    NAMES,
    Condition,
    Sent,
    condition_of,
    conversations,
    findings_of,
    heard,
    segment_of,
)
from tcpharness.analysis.catalog import BY_NAME
from tcpharness.packet.canary import MOST_VANTAGES, is_canary, number_of, place_of, vantage_of
from tcpharness.packet.segment import decode

UNOFFERED = {"timestamps_missing", "small_initial_window"}  # notes about what they offer
START_NS = 1_700_000_000_000_000_000


def by_condition(sent: tuple[Sent, ...]) -> dict[Condition | None, set[str]]:
    found: dict[Condition | None, set[str]] = defaultdict(set)
    for finding in findings_of(sent):
        if finding.level != "info" or finding.name in NAMES:
            found[condition_of(finding)].add(finding.name)
    return found


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("start_ns", [0, START_NS])
def test_each_condition_gives_its_findings_and_no_other(version: int, start_ns: int) -> None:
    sent = tuple(Sent(s.beat, s.offset_ns + start_ns, s.frame) for s in conversations(7, version))
    found = by_condition(sent)
    assert {c.name if c else "": found[c] - UNOFFERED - {*c.names} if c else found[c] for c in found} == {
        condition.name: set() for condition in CONDITIONS
    }
    assert {c.name: set(c.names) - found[c] for c in CONDITIONS} == {c.name: set() for c in CONDITIONS}


def test_a_condition_is_a_detector_and_there_once() -> None:
    assert len({c.name for c in CONDITIONS}) == len(CONDITIONS)
    assert set(BY_NAME) >= NAMES


def test_frames_are_known_by_their_macs_and_addresses() -> None:
    for version in (4, 6):
        frames = [sent.frame for sent in conversations(9, version)]
        assert all(is_canary(frame) and vantage_of(frame) == 9 for frame in frames)
        assert [number_of(frame) for frame in frames] == list(range(len(frames)))
        segments = [decode(frame) for frame in frames]
        assert {place_of(s.src) for s in segments} == {(9, n) for n in range(1, len(CONDITIONS) + 1)}
        assert all(place_of(s.src) == place_of(s.dst) for s in segments)


def test_beats_are_few_and_in_order() -> None:
    sent = conversations(0, 4)
    assert [s.beat for s in sent] == sorted(s.beat for s in sent)
    assert [s.offset_ns for s in sent] == sorted(s.offset_ns for s in sent)
    assert sent[-1].beat < 8


@pytest.mark.parametrize("version", [4, 6])
def test_what_was_captured_whole_is_heard_whole(version: int) -> None:
    other = [sent.frame for sent in conversations(4, version)]
    frames = [sent.frame for sent in conversations(3, version)]
    assert heard([*other, *frames], 3, version) == NAMES
    assert heard(other, 3, version) == frozenset()


def test_what_is_missing_is_not_heard() -> None:
    frames = [sent.frame for sent in conversations(3, 4)]
    conversation = [c.name for c in CONDITIONS].index("zero_window") + 1
    left = [frame for frame in frames if place_of(decode(frame).src) != (3, conversation)]
    assert NAMES - heard(left, 3, 4) == {
        "zero_window", "window_full", "zero_window_probe", "zero_window_probe_ack", "window_update",
        "receiver_stall",
    }  # fmt: skip


def test_snapped_frames_hide_what_needs_their_payload() -> None:
    frames = [sent.frame[:64] for sent in conversations(3, 4)]
    assert "bad_tcp_checksum" not in heard(frames, 3, 4)


def test_a_sum_that_was_mended_is_no_bad_one() -> None:
    """As when a device completes checksums on the way."""
    frames = [sent.frame for sent in conversations(3, 4)]
    bad = next(f for f in findings_of(conversations(3, 4)) if f.name == "bad_tcp_checksum")
    damaged = frames[bad.frame - 1]
    right = int(bad.detail["right"]).to_bytes(2, "big")
    frames[bad.frame - 1] = damaged[:50] + right + damaged[52:]
    assert NAMES - heard(frames, 3, 4) == {"bad_tcp_checksum"}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("vantage", [1, 2, 127, 128, 254, MOST_VANTAGES - 1])
def test_a_frame_that_is_moved_is_the_frame_that_is_made_there(vantage: int, version: int) -> None:
    made = {
        segment_of(line, vantage, number, version).data[12:]: line
        for number, condition in enumerate(CONDITIONS, 1)
        for line in condition.lines
    }
    moved = {sent.frame[12:] for sent in conversations(vantage, version)}
    different = [line for frame, line in made.items() if frame not in moved]
    assert len(moved) == len(made)
    assert [line for line in different if not line.endswith("[cksum bad]")] == []  # wrong in another way
    assert len(different) <= 1
    assert {f.name for f in findings_of(conversations(vantage, version))} >= NAMES


PAGE = Path(__file__).parents[2] / "docs" / "monitors.md"
TABLE = re.compile(r"(<!-- canary -->\n)(.*?)(<!-- end canary -->)", re.DOTALL)


def table() -> str:
    rows = ["| conversation | and with it | of sockets |", "|---|---|---|"]
    for condition in CONDITIONS:
        name = f"`{condition.name}`" + (" (in captures only)" if condition.slow else "")
        sockets = "yes" if condition.name in KERNEL_NAMES else ""
        rows.append(f"| {name} | {', '.join(f'`{also}`' for also in condition.also)} | {sockets} |")
    counters = sorted(name for name in KERNEL_NAMES if name[0].isupper())
    rows.append(f"| | | {', '.join(f'`{name}`' for name in counters)}, `rto_backoff` |")
    return "".join(f"{row}\n" for row in rows)


def test_the_page_lists_every_condition(request: pytest.FixtureRequest) -> None:
    current = TABLE.sub(lambda found: found[1] + table() + found[3], PAGE.read_text())
    if request.config.getoption("--update-golden"):
        PAGE.write_text(current)
    assert PAGE.read_text() == current, "run pytest --update-golden, then read the diff"
    assert TABLE.search(current)
