"""A scorecard as rows of plain values: for JSON, for CSV, and what the tables for people are made of.

Delays are rounded to 10 ms. They and the packets of an explanation are the only things that may differ
between two runs of one seed and the same versions.
"""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from tcpharness.verdict.score import MS, Mark, Score, Scorecard, Tally

ALL = "(all)"
COARSE_NS = 10 * MS
COLUMNS = (
    "monitor", "version", "condition", "covered", "hits", "misses", "false_alarms", "not_covered",
    "recall", "recall_low", "recall_high", "precision", "precision_low", "precision_high",
    "short", "duplicates", "delay_median_ms", "delay_p95_ms",
)  # fmt: skip


def as_json(card: Scorecard) -> dict[str, Any]:
    return {
        "seed": card.seed,
        "cases": card.cases,
        "left_out": card.left_out,
        "silent": card.silent,
        "versions": card.versions,
        "monitors": [of_score(score, card.conditions()) for score in card.ranked()],
    }


def of_score(score: Score, conditions: list[str]) -> dict[str, Any]:
    return {
        "monitor": score.monitor,
        "version": score.version,
        "cases": score.cases,
        "lacking": score.lacking,
        "errors": score.errors,
        "unmapped": dict(sorted(score.unmapped.items())),
        "all": of_tally(score.in_all()),
        "conditions": {name: of_tally(score.of(name)) for name in conditions if is_covered(score.of(name))},
        "misses": [of_mark(mark) for mark in score.marks if mark.kind == "miss"],
        "false_alarms": [of_mark(mark) for mark in score.marks if mark.kind == "false alarm"],
    }


def is_covered(tally: Tally) -> bool:
    return tally.wanted > 0 or tally.said > 0


def of_tally(tally: Tally) -> dict[str, Any]:
    low, high = tally.recall_range
    surely, maybe = tally.precision_range
    return {
        "hits": tally.hits,
        "misses": tally.misses,
        "false_alarms": tally.false_alarms,
        "not_covered": tally.not_covered,
        "recall": rounded(tally.recall),
        "recall_low": rounded(low),
        "recall_high": rounded(high),
        "precision": rounded(tally.precision),
        "precision_low": rounded(surely),
        "precision_high": rounded(maybe),
        "short": tally.short,
        "duplicates": tally.duplicates,
        "delay_median_ms": delay_ms(tally, 0.5),
        "delay_p95_ms": delay_ms(tally, 0.95),
    }


def of_mark(mark: Mark) -> dict[str, Any]:
    return {
        "condition": mark.condition,
        "case": mark.case,
        "vantages": list(mark.vantages),
        "at": mark.at,
        "wanted": mark.wanted,
        "reported": mark.reported,
        "capture": mark.capture,
        "packets": list(mark.packets),
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def delay_ms(tally: Tally, share: float) -> int | None:
    delay = tally.delay_ns(share)
    return None if delay is None else round(delay / COARSE_NS) * (COARSE_NS // MS)


def as_csv(card: Scorecard) -> str:
    """A row for each monitor and condition; first of each monitor, all conditions together."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for score in card.ranked():
        for name in (ALL, *card.conditions()):
            tally = score.in_all() if name == ALL else score.of(name)
            own = {"monitor": score.monitor, "version": score.version, "condition": name}
            writer.writerow({**own, "covered": int(is_covered(tally)), **of_tally(tally)})
    return text.getvalue()
