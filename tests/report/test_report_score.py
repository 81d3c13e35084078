"""A scorecard for people, for programs, for a pull request."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO

from tcpharness.report.score_data import as_csv, as_json
from tcpharness.report.score_text import as_markdown, as_text
from tcpharness.verdict.score import MS, Mark, Score, Scorecard

PACKETS = (
    "  0.000000 client.40000 > server.105: P. 1:11(10) ack 1 win 502",
    "> 0.200000 client.40000 > server.105: P. 1:11(10) ack 1 win 502",
)


def mark(kind: str, condition: str, number: int, delay_ms: float | None = None, packets: bool = True) -> Mark:
    delay = None if delay_ms is None else int(delay_ms * MS)
    shown = PACKETS if packets and kind in ("miss", "false alarm") else ()
    place = f"loss/{number}.yaml"
    return Mark(kind, condition, place, ("client",), f"{place}:9:5", 1, 1, 0, delay, shown)  # type: ignore[arg-type]


def card() -> Scorecard:
    ours = Score("our-rules", "Suricata 7", cases=6)
    ours.marks = [mark("miss", "retransmission", n) for n in range(5)]
    ours.marks += [mark("hit", "reset", 1, 14.2), mark("hit", "reset", 2, 26.0)]
    ours.marks += [mark("false alarm", "zero_window", 3, packets=False), mark("not covered", "gap", 4)]
    ours.unmapped = {"ET SCAN | nmap": 3}
    ours.errors = ["loss/6.yaml: our-rules at client: it ended with status 1"]
    ours.marks += [mark("not covered", "handshake", 4)]
    best = Score("tshark", "TShark 4", cases=6)
    best.marks = [mark("hit", "retransmission", n, 0.0) for n in range(5)] + [mark("hit", "gap", 4)]
    best.marks += [mark("not covered", "handshake", 4)]
    return Scorecard([ours, best], cases=6, left_out=["loss/9.yaml: void: it was blind"], silent=1, seed=1)


def test_text(golden: Callable[[str, str], None]) -> None:
    golden("report_score", as_text(card()))


def test_everything_shows_each_miss() -> None:
    assert as_text(card()).count("> 0.200000") == 1
    text = as_text(card(), everything=True)
    assert text.count("> 0.200000") == 5
    assert "also in" not in text


def test_markdown(golden: Callable[[str, str], None]) -> None:
    golden("report_score_md", as_markdown(card()))


def test_csv_has_a_row_for_each_monitor_and_condition() -> None:
    rows = list(csv.DictReader(StringIO(as_csv(card()))))
    assert [row["monitor"] for row in rows] == ["tshark"] * 6 + ["our-rules"] * 6
    row = next(r for r in rows if (r["monitor"], r["condition"]) == ("our-rules", "reset"))
    assert (row["hits"], row["misses"], row["recall"], row["delay_median_ms"]) == ("2", "0", "1.0", "10")
    uncovered = next(r for r in rows if (r["monitor"], r["condition"]) == ("our-rules", "gap"))
    assert (uncovered["covered"], uncovered["recall"]) == ("0", "")


def test_json_goes_through_json_and_explains() -> None:
    found = json.loads(json.dumps(as_json(card())))
    assert [m["monitor"] for m in found["monitors"]] == ["tshark", "our-rules"]
    ours = found["monitors"][1]
    assert ours["all"]["recall"] == 0.2857
    assert "gap" not in ours["conditions"]
    assert ours["misses"][0]["packets"] == list(PACKETS)
    assert ours["errors"] == ["loss/6.yaml: our-rules at client: it ended with status 1"]
