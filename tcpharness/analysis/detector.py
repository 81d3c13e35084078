"""What a detector is: a function of (segment, this side, the other side), and what is said about it.

`this` sent the segment, `other` is to receive it; both are as they were before it, with the facts of the
segment written on `this`. The function gives a `Hit`, or None. Its name is the detector's name, its
docstring the documentation, whose examples run as tests:

    One line or more: what it sees.

    why it matters: ...
    what to do: ...
    limits: ...
    fires: a title
        0.000 > P. 1:11(10) ack 1
    silent: a title
        0.000 > . 1:1(0) ack 1
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from tcpharness.analysis.finding import Level
from tcpharness.analysis.hit import Hit
from tcpharness.analysis.signs import Sign

__all__ = ["HEADINGS", "Detector", "DetectorError", "Hit", "Rule"]

HEADINGS = ("why it matters", "what to do", "limits", "fires", "silent")
HEADING = re.compile(rf"^({'|'.join(HEADINGS)}):[ ]*(.*)$")


class DetectorError(Exception):
    """A detector of somebody's own can't be used, or fails; the text names the place."""


# (segment, this, other), or with Sign.CROWD (episode)
Rule = Callable[..., Hit | None]


@dataclass(frozen=True)
class Detector:
    """One rule and its place in the catalogue."""

    function: Rule
    signs: Sign
    level: Level
    rfc: str = ""
    parent: str | None = None
    family: str = ""
    kinds: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    sure: bool = False  # the sign alone decides, and it has no kinds: more of it need only be counted

    @cached_property
    def name(self) -> str:
        return self.function.__name__

    def parts(self) -> dict[str, str]:
        """The documentation by heading, "what it sees" first."""
        parts: dict[str, str] = {}
        heading = "what it sees"
        for line in inspect.cleandoc(self.function.__doc__ or "").splitlines():
            match = HEADING.match(line)
            if match:
                heading, line = match[1], match[2]
            parts[heading] = f"{parts[heading]}\n{line}" if heading in parts else line
        return {heading: text.strip("\n") for heading, text in parts.items()}

    def examples(self) -> list[tuple[str, str, list[str]]]:
        """("fires" or "silent", title, lines in the one-line notation)."""
        found: list[tuple[str, str, list[str]]] = []
        for line in inspect.cleandoc(self.function.__doc__ or "").splitlines():
            match = HEADING.match(line)
            if match:
                found.append((match[1], match[2], []))
            elif line.startswith("    ") and found:
                found[-1][2].append(line.strip())
        return [example for example in found if example[0] in ("fires", "silent")]
