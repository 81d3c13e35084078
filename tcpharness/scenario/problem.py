"""What is wrong with a scenario file, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tcpharness.scenario.place import Place

NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_-]{0,39}"  # of hosts, and of a matrix's values

MOST_PROBLEMS = 100  # a file of garbage is not worth more lines than that
MOST_COMPARED = 200  # names that a misspelt one is held against


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake; `str()` is `file:line:column: problem; expected ...`."""

    at: Place
    text: str

    def __str__(self) -> str:
        return f"{self.at}: {self.text}"


class ScenarioErrors(Exception):
    """All mistakes of one file, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__()
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def quoted(text: str) -> str:
    """The text as it can stand in a one-line message."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
    return f'"{printable}"'


def one_of(names: Iterable[str]) -> str:
    return f"expected one of {listed(names)}"


def listed(names: Iterable[str]) -> str:
    """`a, b, c`, cut short where nobody would read on."""
    every = list(names)
    shown = ", ".join(every[:40])
    return shown if len(every) <= 40 else f"{shown} and {len(every) - 40} more"


def unknown(what: str, written: str, names: Iterable[str], where: str = "") -> str:
    """`unknown host "sever", did you mean "server"; expected one of client, server`."""
    every = list(dict.fromkeys(names))
    text = f"unknown {what} {quoted(written)}{where}"
    close = nearest(written, every)
    if close is not None:
        text += f", did you mean {quoted(close)}"
    if not every:
        return f"{text}; there is none in this scenario"
    return f"{text}; {one_of(every)}"


def nearest(written: str, names: Sequence[str]) -> str | None:
    # Imported here: a file without mistakes never pays for it.
    from difflib import get_close_matches

    folded = {name.lower(): name for name in names[:MOST_COMPARED]}
    found = get_close_matches(written.lower()[:60], list(folded), n=1, cutoff=0.65)
    return folded[found[0]] if found else None
