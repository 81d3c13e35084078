"""Marks, sums and the gate: arithmetic over what a monitor said."""

from __future__ import annotations

import pytest
from verdict_scene import case_of

from tcpharness.analysis.finding import Finding
from tcpharness.record.finding import MonitorFinding
from tcpharness.verdict.score import (
    MS,
    Mark,
    Score,
    Scorecard,
    Seen,
    marks_of,
    read_limits,
    shortfalls,
    tally,
)
from tcpharness.verdict.truth import stands

WORDS = frozenset({"retransmission", "syn_retransmission", "zero_window", "reset"})


def marks(listed: str, *reports: str, words: frozenset[str] = WORDS) -> list[Mark]:
    """`reports`: "reset", "reset 3" times, "reset @20" milliseconds after the start."""
    stand = stands(case_of(f"findings: {{client: {{{listed}}}}}"), ("client",))[0]
    truth = [Finding("retransmission", "warning", 5 * MS, 4, None, "")]
    return list(marks_of(Seen("x.yaml", "x.yaml:1:1", stand, [report(r) for r in reports], truth), words))


def report(text: str) -> MonitorFinding:
    name, *rest = text.split()
    time = next((int(word[1:]) * MS for word in rest if word[0] == "@"), None)
    count = next((int(word) for word in rest if word.isdigit()), 1)
    return MonitorFinding(name, "warning", time_ns=time, count=count)


# what is listed, what is reported, the marks
TABLE = [
    ("", (), []),
    ("reset: 1", ("reset",), ["hit reset"]),
    ("reset: 1", (), ["miss reset"]),
    ("reset: '0..1'", (), []),
    ("", ("reset",), ["false alarm reset"]),
    ("", ("reset", "reset 3"), ["false alarm reset"]),  # one, however often
    ("reset: 1", ("retransmission",), ["miss reset", "false alarm retransmission"]),
    ("retransmission: 1", ("syn_retransmission",), ["hit retransmission"]),
    ("syn_retransmission: 1", ("retransmission",), ["miss syn_retransmission"]),  # it has the better word
    ("synack_retransmission: 1", ("retransmission",), ["hit synack_retransmission"]),  # it has none
    ("handshake: 1", (), ["not covered handshake"]),
    ("", ("handshake",), []),  # no word of its
    ("", ("something of its own",), []),
]


@pytest.mark.parametrize(("listed", "reports", "wanted"), TABLE)
def test_marks(listed: str, reports: tuple[str, ...], wanted: list[str]) -> None:
    assert [f"{m.kind} {m.condition}" for m in marks(listed, *reports)] == wanted


def test_silence_about_what_is_there_as_a_note_says_nothing() -> None:
    stand = stands(case_of("findings: {client: {}}"), ("client",))[0]
    for level, kinds in (("note", []), ("warning", ["false alarm"])):
        truth = [Finding("reset", level, 5 * MS, 4, None, "")]  # type: ignore[arg-type]
        found = marks_of(Seen("x.yaml", "x.yaml:1:1", stand, [report("reset")], truth), WORDS)
        assert [mark.kind for mark in found] == kinds


def test_more_than_can_have_been_are_duplicates_and_fewer_are_short() -> None:
    found = tally(marks("reset: '2..3'", "reset 5"))
    assert (found.hits, found.duplicates, found.short) == (1, 2, 0)
    found = tally(marks("reset: '2..'", "reset"))
    assert (found.hits, found.duplicates, found.short) == (1, 0, 1)


def test_the_delay_counts_from_the_packet_to_the_first_report() -> None:
    (mark,) = marks("retransmission: 1", "retransmission @25", "retransmission @15")
    assert mark.delay_ns == 10 * MS
    (mark,) = marks("retransmission: 1", "retransmission @2", "retransmission @35")
    assert mark.delay_ns == 30 * MS  # the first one was before there was anything to report
    for silent in ("retransmission", "retransmission @2"):
        (mark,) = marks("retransmission: 1", silent)
        assert mark.delay_ns is None


@pytest.mark.parametrize(("share", "rank"), [(0.5, 10), (0.95, 19), (1.0, 20)])
def test_delays_by_nearest_rank(share: float, rank: int) -> None:
    delays = [Mark("hit", "reset", "x", (), "", 1, 1, delay_ns=n) for n in range(20, 0, -1)]
    assert tally(delays).delay_ns(share) == rank
    assert tally([]).delay_ns(share) is None


def score(hits: int, misses: int, alarms: int, name: str = "ours") -> Score:
    kinds = ["hit"] * hits + ["miss"] * misses + ["false alarm"] * alarms
    return Score(name, marks=[Mark(kind, "reset", "x", (), "", 1, 1) for kind in kinds])  # type: ignore[arg-type]


def test_rates() -> None:
    found = score(8, 2, 1).in_all()
    assert found.recall == 0.8
    assert found.precision == pytest.approx(8 / 9)
    assert found.recall_range == pytest.approx((0.4439, 0.9748), abs=1e-4)
    nothing = score(0, 0, 0).in_all()
    assert (nothing.recall, nothing.precision, nothing.recall_range) == (None, None, (0, 1))


def test_the_best_is_first_and_names_decide_between_equals() -> None:
    card = Scorecard([score(1, 1, 0, "b"), score(2, 0, 0, "c"), score(1, 1, 0, "a"), score(0, 0, 0, "d")])
    assert [s.monitor for s in card.ranked()] == ["c", "a", "b", "d"]


def test_what_one_has_no_word_for_does_not_make_it_better() -> None:
    narrow = score(2, 0, 0, "narrow")
    narrow.marks += [Mark("not covered", "gap", "x", (), "", 1, 0)] * 8
    assert [s.monitor for s in Scorecard([narrow, score(8, 2, 0, "broad")]).ranked()] == ["broad", "narrow"]


def test_the_gate() -> None:
    limits = {"recall": 0.8, "precision": 0.9}
    assert shortfalls(Scorecard([score(8, 2, 0)]), limits) == []
    assert shortfalls(Scorecard([score(7, 3, 1)]), limits) == [
        "ours: recall is 0.700, below 0.8",
        "ours: precision is 0.875, below 0.9",
    ]


def test_who_could_not_look_or_had_nothing_to_see_does_not_pass() -> None:
    broken, absent = score(9, 0, 0, "broken"), Score("absent", lacking="it is not installed")
    broken.errors.append("x.yaml at client: killed")
    found = shortfalls(Scorecard([broken, absent, score(0, 0, 0, "idle")]), {"recall": 0.5})
    assert found == [
        "broken: it could not do its work at 1 places: x.yaml at client: killed",
        "absent: it did not run: it is not installed",
        "idle: recall is not known: nothing was there that it has a word for",
    ]


def test_limits() -> None:
    assert read_limits("recall=0.95, precision=0.9") == {"recall": 0.95, "precision": 0.9}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no limit; expected recall=0.95"),
        ("recal=0.9", "'recal=0.9' is no limit"),
        ("recall", "'recall' is no limit"),
        ("recall=95%", "expected a number from 0 to 1"),
        ("recall=95", "expected a number from 0 to 1"),
        ("recall=nan", "expected a number from 0 to 1"),
        ("recall=0.9,recall=0.8", "recall is given twice"),
    ],
)
def test_limits_that_cannot_be_right(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_limits(text)
