"""A scorecard for people: the ranking, the conditions, and each miss with its packets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tcpharness.report.score_data import delay_ms, is_covered
from tcpharness.verdict.score import Mark, Score, Scorecard, Tally

HEAD = ("monitor", "recall", "precision", "hits", "misses", "false alarms", "not covered", "short",
        "duplicates", "delay median, p95")  # fmt: skip
UNMAPPED = 12  # names that are listed
OTHERS = 3  # further places of the same miss, by name


def as_text(card: Scorecard, *, everything: bool = False) -> str:
    """`everything`: each miss and false alarm with its packets, not the first of each condition only."""
    return "\n".join([*opening(card), *tables(card), *troubles(card), *explanations(card, everything)]) + "\n"


def opening(card: Scorecard) -> Iterator[str]:
    yield f"{card.cases} cases, seed {card.seed}" + (
        f"; {card.silent} more say nothing of findings" if card.silent else ""
    )
    for score in card.scores:
        yield f"{score.monitor}: {score.lacking or score.version or 'it says no version'}"
    for reason in card.left_out:
        yield f"left out: {reason}"
    yield ""


def tables(card: Scorecard) -> Iterator[str]:
    yield from aligned([HEAD, *(summary(score) for score in card.ranked())])
    yield ""
    yield from aligned(conditions(card))
    yield "reported of there to be seen, +n false alarms; - no word for it, or never there"
    if unknown := unknown_to_all(card):
        yield f"there as well, and none has a word for it: {', '.join(unknown)}"


def summary(score: Score) -> tuple[str, ...]:
    """One monitor in one line."""
    of = score.in_all()
    return (
        score.monitor,
        rate(of.recall, of.recall_range),
        rate(of.precision, of.precision_range),
        *map(str, (of.hits, of.misses, of.false_alarms, of.not_covered, of.short, of.duplicates)),
        delays(of),
    )


def rate(value: float | None, between: tuple[float, float]) -> str:
    """`0.91 [0.85, 0.95]`"""
    return "-" if value is None else f"{value:.2f} [{between[0]:.2f}, {between[1]:.2f}]"


def delays(of: Tally) -> str:
    median, most = delay_ms(of, 0.5), delay_ms(of, 0.95)
    return "-" if median is None else f"{median} ms, {most} ms"


def conditions(card: Scorecard) -> list[tuple[str, ...]]:
    """A line for each condition, a column for each monitor, the best first."""
    ranked = card.ranked()
    rows = [("condition", *(score.monitor for score in ranked))]
    names = [name for name in card.conditions() if name not in unknown_to_all(card)]
    return rows + [(name, *(cell(score.of(name)) for score in ranked)) for name in names]


def unknown_to_all(card: Scorecard) -> list[str]:
    """Conditions that were there and that nobody has a word for."""
    names = card.conditions()
    return [name for name in names if not any(is_covered(score.of(name)) for score in card.scores)]


def cell(of: Tally) -> str:
    """`11/13 +1`"""
    if not is_covered(of):
        return "-"
    alarms = f" +{of.false_alarms}" if of.false_alarms else ""
    return f"{of.hits}/{of.wanted}{alarms}"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip()


# --- what went wrong


def troubles(card: Scorecard) -> Iterator[str]:
    for score in card.ranked():
        for error in score.errors:
            yield f"\n{score.monitor} could not do its work: {error}"
        if score.unmapped:
            yield f"\n{score.monitor} also reported, from warning up, what has none of our names:"
            most = sorted(score.unmapped.items(), key=lambda item: (-item[1], item[0]))
            yield from (f"  {count} {name}" for name, count in most[:UNMAPPED])
            if most[UNMAPPED:]:
                yield f"  and {len(most) - UNMAPPED} more names"


def explanations(card: Scorecard, everything: bool) -> Iterator[str]:
    for score in card.ranked():
        for title, kind in (("missed", "miss"), ("reported falsely", "false alarm")):
            wrong = sorted((m for m in score.marks if m.kind == kind), key=lambda m: m.condition)
            for condition, marks in groupby(wrong, key=lambda m: m.condition):
                yield f"\n{score.monitor} {title}: {condition}"
                yield from shown(list(marks), everything)


def shown(marks: Sequence[Mark], everything: bool) -> Iterator[str]:
    for mark in marks if everything else marks[:1]:
        yield from told(mark)
    rest = () if everything else marks[1:]
    if rest:
        names = list(dict.fromkeys(f"{mark.case} at {places(mark.vantages)}" for mark in rest))
        more = f" and {len(names) - OTHERS} more (--all shows them)" if len(names) > OTHERS else ""
        yield f"  also in {', '.join(names[:OTHERS])}{more}"


def told(mark: Mark) -> Iterator[str]:
    """Where, and the packets."""
    yield f"  {mark.case} at {places(mark.vantages)} ({mark.at})"
    if mark.packets:
        yield from (f"    {line}" for line in mark.packets)
    else:
        yield NO_PACKET[mark.kind]


def places(vantages: Iterable[str]) -> str:
    return ", ".join(vantages)


NO_PACKET = {
    "miss": "    no single packet shows it",
    "false alarm": "    the report names no packet",
}


# --- Markdown


def as_markdown(card: Scorecard) -> str:
    """The two tables, and which versions they are of."""
    versions = [f"{score.monitor}: {score.lacking or score.version or 'no version'}" for score in card.scores]
    lines = [
        *ruled([HEAD, *(summary(score) for score in card.ranked())]),
        "",
        *ruled(conditions(card)),
        "",
        f"{card.cases} cases, seed {card.seed}. {'; '.join(versions)}.",
    ]
    return "\n".join(lines) + "\n"


def ruled(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(word.replace('|', chr(92) + '|') for word in row)} |"
        if number == 0:
            yield "|" + "---|" * len(row)
