"""What a monitor has written, within bounds: its findings, or why there are none to rely on."""

from __future__ import annotations

from pathlib import Path

from tcpharness.evidence import MonitorOutcome
from tcpharness.record.formats import read_records
from tcpharness.record.mapping import findings_of, unmatched
from tcpharness.scenario.monitor import Description

STDOUT, STDERR = "stdout", "stderr"
LAST_LINES, LAST_BYTES = 3, 4096


class Unwritten(Exception):
    """There is nothing to read, or too much; the text says what and where."""


def take(description: Description, folder: Path, outcome: MonitorOutcome) -> None:
    """Reads the output below `folder` into the outcome; what is wrong with it becomes its error."""
    try:
        text = output_text(description, folder)
    except Unwritten as error:
        fail(outcome, str(error), folder)
        return
    take_text(description, text, folder, outcome)


def take_text(description: Description, text: str, folder: Path, outcome: MonitorOutcome) -> None:
    read = read_records(description.output, text)
    outcome.records += len(read.records)
    outcome.findings += findings_of(description, read.records)
    if read.problem is not None:
        fail(outcome, f"its output can't be read to its end: {read.problem}", folder)
    elif (why := unmatched(description, read)) is not None:
        fail(outcome, why, folder)


def output_text(description: Description, folder: Path) -> str:
    """Raises Unwritten."""
    patterns = description.output.file
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    files = [file for file in (found if patterns else [folder / STDOUT]) if file.is_file()]
    if not files and not description.output.optional:
        raise Unwritten(f"it wrote no {' or '.join(patterns)}")
    size = sum(file.stat().st_size for file in files)
    if size > description.most_bytes:
        raise Unwritten(flood(description))
    return "".join(file.read_bytes().decode("utf-8", "replace") for file in files)


def flood(description: Description) -> str:
    return f"it wrote more than {description.most_bytes >> 20} MiB (most: says how much it may)"


def is_flooded(description: Description, folder: Path) -> bool:
    """A file of its has grown to the bound."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return any(file.stat().st_size >= description.most_bytes for file in files)


def fail(outcome: MonitorOutcome, text: str, folder: Path) -> None:
    """The first reason is the one that matters."""
    if outcome.error is None:
        said = last_words(folder)
        outcome.error = f"{text}; it said: {said}" if said else text


def last_words(folder: Path) -> str:
    """The end of what it wrote as errors, or else of what it printed, in one line."""
    for name in (STDERR, STDOUT):
        lines = [line.strip() for line in tail(folder / name).splitlines() if line.strip()]
        if lines:
            return " / ".join(
                "".join(c if c.isprintable() else "?" for c in s)[:200] for s in lines[-LAST_LINES:]
            )
    return ""


def tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LAST_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
