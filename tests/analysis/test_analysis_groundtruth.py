"""Captures whose answers the kernel gave; found beside the repository, not part of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tcpharness.analysis.capture import analyze
from tcpharness.analysis.finding import CaptureReport

FOLDER = Path(__file__).parents[3] / "shared/data/groundtruth"
OTHERS = Path(__file__).parents[3] / "shared/data/captures"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no {FOLDER.name} beside the repository")

# capture -> what the kernel's counters say, as (finding, kind) -> how many
ANSWERS = {
    "tail100": {("retransmission", "tlp"): 1, ("retransmission", "rto"): 3},
    "tail3000": {
        ("retransmission", "tlp"): 1,
        ("retransmission", "rto"): 3,
        ("retransmission", "slow_start"): 2,
    },
    "bulk": {("retransmission", "fast"): 9},
    "zw": {("retransmission", "tlp"): 1},
    "rst": {},
}


def report(name: str) -> CaptureReport:
    with (FOLDER / f"{name}.pcap").open("rb") as file:
        return analyze(file)


def names(found: CaptureReport, *wanted: str) -> list[tuple[int, str]]:
    return [(f.frame, f.name) for f in found.findings if f.name in wanted]


@pytest.mark.parametrize("name", ANSWERS)
def test_every_retransmission_and_its_trigger(name: str) -> None:
    sent_again = ("retransmission", "spurious_retransmission", "out_of_order", "syn_retransmission")
    found = Counter((f.name, f.kind) for f in report(name).findings if f.name in sent_again)
    assert found == ANSWERS[name]


def test_the_probe_of_the_tail_is_the_frame_the_kernel_sent_by_it() -> None:
    (probe,) = [f for f in report("tail3000").findings if f.kind == "tlp"]
    assert probe.frame == 29


def test_linux_window_probes_are_no_keep_alives() -> None:
    found = report("zw")
    assert names(found, "zero_window_probe") == [(n, "zero_window_probe") for n in (10, 12, 13, 15)]
    assert names(found, "zero_window_probe_ack") == [(n, "zero_window_probe_ack") for n in (11, 14, 16)]
    assert names(found, "keep_alive", "keep_alive_ack", "duplicate_ack") == []
    assert names(found, "zero_window", "window_update") == [(9, "zero_window"), (17, "window_update")]


def test_a_dsack_says_that_the_probe_was_not_needed() -> None:
    found = report("zw")
    (resent,) = [f for f in found.findings if f.name == "retransmission"]
    assert (resent.frame, resent.kind, resent.detail["needed"]) == (8, "tlp", "no")
    assert names(found, "dsack") == [(9, "dsack")]


def test_resets_challenges_and_impossible_flags() -> None:
    found = report("rst")
    assert names(found, "reset_out_of_window", "syn_in_established") == [
        (6, "reset_out_of_window"),
        (8, "reset_out_of_window"),
        (9, "syn_in_established"),
    ]
    assert names(found, "challenge_ack") == [(n, "challenge_ack") for n in (7, 10, 12, 14)]
    assert names(found, "injected_reset", "reset", "connection_refused") == [
        (15, "injected_reset"),
        (17, "reset"),
        (19, "connection_refused"),
        (21, "reset"),
        (23, "reset"),
        (25, "reset"),
    ]
    kinds = [(f.frame, f.kind) for f in found.findings if f.name == "impossible_flags"]
    assert kinds == [(22, "F"), (24, "null"), (26, "xmas")]


@pytest.mark.parametrize("name", ANSWERS)
def test_checksums_left_to_offload_are_no_errors(name: str) -> None:
    assert not names(report(name), "bad_tcp_checksum", "bad_ip_checksum")


@pytest.mark.skipif(not OTHERS.is_dir(), reason="no public captures beside the repository")
def test_public_captures_are_read_to_their_end() -> None:
    """No crash, and every problem is one line."""
    for path in sorted(OTHERS.glob("*/*")):
        with path.open("rb") as file:
            found = analyze(file)
        assert found.frames or found.problems, path.name
        assert all("\n" not in problem for problem in found.problems), path.name
