"""`--where`: what an expression lets through, and what is said of one that can't be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import Finding, FlowKey
from tcpharness.analysis.where import NAMES, WhereError, parse_where

FLOW = FlowKey("10.0.0.1", 40000, "10.0.0.2", 105)
START_NS = 1_700_000_000_000_000_000
AGAIN = Finding(
    "retransmission", "warning", START_NS + 250_000_000, 9, FLOW, "sent again", "rto", 4_000_000_000, 1000,
    count=2, end_ns=START_NS + 1_250_000_000, detail={"elapsed_ns": 203_000_000, "needed": "yes"},
)  # fmt: skip
DROPS = Finding("capture_drops", "error", 0, 0, None, "3 packets were dropped")


def holds(text: str, finding: Finding = AGAIN) -> bool:
    return parse_where(text, BY_NAME)(finding, START_NS)


@pytest.mark.parametrize(
    "text",
    [
        'detector == "retransmission"',
        "name == 'retransmission' and flow.dport == 105",
        'detector == "retransmission" and flow.dport == 105 and detail.elapsed_ns >= 200ms',
        'level >= "warning"',
        'level in ("note", "warning")',
        'level != "error"',
        'kind in ("rto", "tlp")',
        'kind not in ("fast")',
        'not kind == "fast"',
        "not (frame < 9 or frame > 9)",
        "frame == 9and count == 2",  # no space is needed after a number
        "time == 250ms",
        "time > 0.2 s",
        "time < 1m",
        "lasted == 1s",
        "seq == 4000000000",
        "len <= 1 KiB and len > 999",
        'flow.src == "10.0.0.1" and flow.dst == "10.0.0.2" and flow.sport == 40000',
        'detail.needed == "yes"',
        "detail.needed",
        "detail.absent != 3",
        "not detail.absent",
        'detail.needed != 3 and detail.elapsed_ns != "yes"',
        'kind == "fast" or kind == "rto" and frame == 9',
        '(kind == "fast" or kind == "rto") and frame in (1, 9)',
        "kind",
    ],
)
def test_holds(text: str) -> None:
    assert holds(text)
    assert not holds(f"not ({text})")


@pytest.mark.parametrize(
    "text",
    ["time < 1s", "time > 1s", 'flow.src == "10.0.0.1"', "flow.dport < 1000", "lasted >= 0s", "seq == 0",
     "seq < 1", 'flow.dst in ("10.0.0.2")', "detail.absent == 0", "detail.absent <= 0", "kind"],
)  # fmt: skip
def test_what_a_finding_lacks_is_equal_to_nothing(text: str) -> None:
    assert not holds(text, DROPS)


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "expected a name such as detector or flow.dport; found the end"),
        ("frame ==", 9, "expected a number; found the end"),
        ("frame = 3", 7, "= is nothing that an expression holds; did you mean ==?"),
        ("frame == 3 3", 12, "expected and, or, or the end; found 3"),
        ("frame 3", 7, "expected one of == != < <= > >= in; found 3"),
        ("(frame == 3", 12, "expected ); found the end"),
        ("frame == 200ms", 10, "expected a number; found 200ms"),
        ("time > 2", 8, "expected a time such as 200ms (ns, us, ms, s, m); found 2"),
        ("len > 2s", 7, "expected a number, or a size such as 1 KiB (B, kB, KiB, MB, MiB); found 2s"),
        ("kind == rto", 9, 'expected text in quotes such as "rto"; found rto'),
        ("kind == 3", 9, 'expected text in quotes such as "rto"; found 3'),
        ('kind == "rto', 9, 'the text that begins here has no closing "'),
        ('level == "bad"', 10, 'expected one of "info", "note", "warning", "error"; found "bad"'),
        ("frme == 3", 1, "frme is no name; did you mean frame?"),
        ("x == 3", 1, f"x is no name; there are {', '.join(NAMES)}, detail.X"),
        ("kind in 3", 9, "expected a list such as (1, 2); found 3"),
        ("kind not 3", 10, "expected in after not; found 3"),
        ("frame == 3 and", 15, "expected a name such as detector or flow.dport; found the end"),
        ("frame == 3 & frame == 4", 12, "& is nothing that an expression holds"),
        ("__import__('os')", 1, f"__import__ is no name; there are {', '.join(NAMES)}, detail.X"),
        ('detector == "resett"', 13, "no detector is called 'resett'; did you mean reset or reset_storm?"),
        ("not " * 60 + "kind", 201, "more than 50 parentheses inside one another"),
    ],
)  # fmt: skip
def test_an_error_names_the_column_and_what_was_expected(text: str, column: int, problem: str) -> None:
    with pytest.raises(WhereError) as error:
        parse_where(text, BY_NAME)
    head, shown, mark = str(error.value).split("\n")
    assert head == f"--where: column {column}: {problem}"
    assert shown == f"  {text}"
    assert mark == " " * (column + 1) + "^"


def test_any_detector_may_be_named_when_none_are_given() -> None:
    assert not parse_where('detector == "of_my_own"')(AGAIN, START_NS)


def test_the_page_names_every_name() -> None:
    page = (Path(__file__).parents[2] / "docs" / "analyze.md").read_text()
    assert all(f"`{name}`" in page for name in NAMES)
    examples = re.findall(r"--where '([^']+)'", page)
    assert len(examples) == 3
    assert all(parse_where(text, BY_NAME) for text in examples)
