"""Endpoints: they end as their steps say, unless the scenario expects otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from tcpharness.evidence import ConnectionOutcome, EndpointOutcome, Evidence
from tcpharness.scenario.model import Case, Count, Endpoint, EndpointExpect
from tcpharness.verdict.result import Failure

CLEAN = ("none",)
SHOWN = 3  # conversations of one script that went astray


def judge_endpoints(case: Case, evidence: Evidence) -> Iterator[Failure]:
    wanted = {e.name: e for e in case.expect.endpoints}
    outcomes = evidence.endpoints
    for endpoint in case.endpoints:
        outcome = outcomes.get(endpoint.name)
        expected = wanted.get(endpoint.name) or EndpointExpect(endpoint.name, endpoint.at)
        if outcome is None:
            yield Failure(endpoint.at, f"{endpoint.name} to have acted", "it never did")
            continue
        if outcome.unfinished is not None:
            waited = outcome.unfinished or "it did not say for what"
            yield Failure(endpoint.at, f"{endpoint.name} to finish in time", f"still waiting: {waited}")
            continue
        others_clean = all(ended_cleanly(o) for name, o in outcomes.items() if name != endpoint.name)
        yield from judge_end(outcome, expected)
        yield from judge_exit(endpoint, outcome, expected)
        yield from judge_connections(endpoint, outcome, expected, others_clean)
        yield from judge_payload(endpoint, outcome, expected, others_clean)
        yield from judge_amounts(outcome, expected)
        yield from judge_branches(outcome, expected)


# --- how it ended


def ends_of(outcome: EndpointOutcome) -> list[str]:
    """How it ended, in the words of `error:`; each connection in its own way, if nothing ended them all."""
    if outcome.error:
        return outcome.errors()
    return [c.error or "none" for c in outcome.connections] or ["none"]


def ended_cleanly(outcome: EndpointOutcome) -> bool:
    failed = outcome.exit_status and not outcome.ended_by_us
    return not outcome.errors() and not failed and outcome.unfinished is None


def judge_end(outcome: EndpointOutcome, expected: EndpointExpect) -> Iterator[Failure]:
    """Every connection ends in one of the ways that are allowed: without an error when nothing is said."""
    allowed = {*(expected.error or CLEAN)}
    ends = ends_of(outcome)
    if expected.exit is not None and expected.error is None:
        ends = [e for e in ends if e not in (outcome.error, "none")]  # its exit status is judged instead
    if set(ends) <= allowed:
        return
    astray = [c.mismatch for c in outcome.connections if c.mismatch and c.error not in allowed]
    for mismatch in astray[:SHOWN]:
        yield Failure(mismatch.at, mismatch.expected, mismatch.actual, mismatch.packets)
    if astray and set(ends) <= allowed | {mismatch.error for mismatch in astray}:
        return
    if expected.error is None:
        wish = "as its steps say"
    elif allowed == {*CLEAN}:
        wish = "without an error"
    else:
        wish = "with " + " or ".join(expected.error)
    yield Failure(expected.at, f"{outcome.name} to end {wish}", described(outcome))


def judge_exit(endpoint: Endpoint, outcome: EndpointOutcome, expected: EndpointExpect) -> Iterator[Failure]:
    """A program exits with 0 unless we ended it, or another status is expected; it does exit."""
    if endpoint.kind != "run" or expected.exit is not None or outcome.ended_by_us or outcome.error:
        return
    if outcome.exit_status is None:
        yield Failure(
            endpoint.at, f"{endpoint.name} to exit with 0", f"it never exited: {last_lines(outcome)}"
        )
    elif outcome.exit_status:
        found = f"{outcome.exit_status}: {last_lines(outcome)}"
        yield Failure(endpoint.at, f"{endpoint.name} to exit with 0", found)


def described(outcome: EndpointOutcome) -> str:
    parts = [": ".join(filter(None, (outcome.error, outcome.error_text)))] if outcome.error else []
    errors = [c for c in outcome.connections if c.error]
    parts += [
        f"{c.error}"
        + (f" in {c.error_step}" if c.error_step else "")
        + (f": {c.error_text}" if c.error_text else "")
        for c in errors
    ]
    more = f"; and {len(parts) - 3} more" if len(parts) > 3 else ""
    clean = len(outcome.connections) - len(errors)
    if not outcome.error and errors and clean:
        more += f"; {clean} of {len(outcome.connections)} connections without an error"
    return ("; ".join(parts[:3]) or "no error") + more


def last_lines(outcome: EndpointOutcome) -> str:
    return " | ".join(outcome.output.strip().splitlines()[-3:]) or "it printed nothing"


# --- its connections


def judge_connections(
    endpoint: Endpoint, outcome: EndpointOutcome, expected: EndpointExpect, others_clean: bool
) -> Iterator[Failure]:
    """A client makes all its connections. A server gets all of its own, unless somebody failed on the way."""
    made = len(outcome.connections)
    if endpoint.kind == "run" or made >= endpoint.times or outcome.error:
        return
    if endpoint.target is not None:
        tried = "it never tried" if not made else f"it tried {made} of {endpoint.times} times"
        yield Failure(endpoint.at, f"{endpoint.name} to connect", tried)
    elif others_clean and expected.error is None and expected.received is None:
        wish = f"{endpoint.name} to serve {plural(endpoint.times, 'connection')}"
        yield Failure(endpoint.at, wish, f"{made} came")


def plural(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def judge_payload(
    endpoint: Endpoint, outcome: EndpointOutcome, expected: EndpointExpect, others_clean: bool
) -> Iterator[Failure]:
    """What one side sends the other gets, no more and no less, when nothing went wrong on either side."""
    if expected.received is not None:
        return
    for number, c in enumerate(outcome.connections, 1):
        wanted = c.expected_bytes
        if wanted is None or c.error or not amiss(c, wanted, endpoint, others_clean):
            continue
        which = f"connection {number} of {endpoint.name}" if len(outcome.connections) > 1 else endpoint.name
        yield Failure(
            endpoint.at, f"{which} to receive {wanted} bytes", f"{c.received_bytes} bytes, and no error"
        )


def amiss(c: ConnectionOutcome, wanted: int, endpoint: Endpoint, others_clean: bool) -> bool:
    """More than was sent is always wrong; less is, when it read to the end of what was sent whole."""
    if c.received_bytes > wanted:
        return True
    to_the_end = any(s.do == "receive" and s.size is None and s.text is None for s in endpoint.steps)
    return to_the_end and others_clean and c.received_bytes < wanted


# --- amounts


def judge_amounts(outcome: EndpointOutcome, expected: EndpointExpect) -> Iterator[Failure]:
    figures: dict[str, tuple[Count | None, float | None, str]] = {
        "sent": (expected.sent, outcome.sent_bytes, "bytes"),
        "received": (expected.received, outcome.received_bytes, "bytes"),
        "throughput": (expected.throughput, throughput(outcome), "bit/s"),
        "duration": (expected.duration, duration_ns(outcome), "ns"),
        "exit": (expected.exit, outcome.exit_status, ""),
    }
    for name, (count, found, unit) in figures.items():
        if count is not None and (found is None or not count.holds(int(found))):
            value = "nothing measured" if found is None else f"{int(found)} {unit}".strip()
            yield Failure(expected.at, f"{outcome.name}: {name} {count}", value)
    said = " ".join(outcome.output.split())
    for text in expected.output:
        if " ".join(text.split()) not in said:
            yield Failure(expected.at, f"{outcome.name} to print {text!r}", last_lines(outcome))


def judge_branches(outcome: EndpointOutcome, expected: EndpointExpect) -> Iterator[Failure]:
    """How many conversations of a script took which alternative."""
    for name, count in expected.took:
        found = outcome.took.get(name, 0)
        if not count.holds(found):
            yield Failure(expected.at, f"{outcome.name} to take {name} {count} times", f"{found} times")


def throughput(outcome: EndpointOutcome) -> float | None:
    """Bits per second of what moved after the first read (or write); None without two moments to measure."""
    moved = [c for c in outcome.connections if c.first_byte_ns is not None and c.last_byte_ns is not None]
    if not moved:
        return None
    firsts = [(c.first_byte_ns or 0, c.first_bytes) for c in moved]
    span_ns = max(c.last_byte_ns or 0 for c in moved) - min(firsts)[0]
    # What was there at the first moment took no time of this span.
    volume = (outcome.received_bytes or outcome.sent_bytes) - min(firsts)[1]
    return volume * 8e9 / span_ns if span_ns > 0 else None


def duration_ns(outcome: EndpointOutcome) -> int | None:
    """From the first connection's opening to the last one's end; None when one of them has no end."""
    opened = [c for c in outcome.connections if c.opened_ns is not None]
    starts = [c.opened_ns for c in opened if c.opened_ns is not None]
    ends = [c.closed_ns for c in opened if c.closed_ns is not None]
    return max(ends) - min(starts) if starts and len(ends) == len(starts) else None
