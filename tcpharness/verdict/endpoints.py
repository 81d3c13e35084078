"""Endpoints: they end as their steps say, unless the scenario expects otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from tcpharness.evidence import EndpointOutcome, Evidence
from tcpharness.scenario.model import Case, Count, Endpoint, EndpointExpect
from tcpharness.verdict.result import Failure


def judge_endpoints(case: Case, evidence: Evidence) -> Iterator[Failure]:
    wanted = {e.name: e for e in case.expect.endpoints}
    for endpoint in case.endpoints:
        outcome = evidence.endpoints.get(endpoint.name)
        expected = wanted.get(endpoint.name)
        if outcome is None:
            yield Failure(endpoint.at, f"{endpoint.name} to have acted", "it never did")
            continue
        yield from judge_end(endpoint, outcome, expected)
        if expected is not None:
            yield from judge_amounts(outcome, expected)


def judge_end(
    endpoint: Endpoint, outcome: EndpointOutcome, expected: EndpointExpect | None
) -> Iterator[Failure]:
    """How it ended. Unfinished is never as expected."""
    if outcome.unfinished is not None:
        yield Failure(
            endpoint.at, f"{endpoint.name} to finish in time", f"still waiting: {outcome.unfinished}"
        )
        return
    errors = outcome.errors()
    if expected is not None and expected.error is not None and expected.error != ("none",):
        if not errors or not set(errors) <= set(expected.error):
            yield Failure(
                expected.at, f"{endpoint.name} to end with {' or '.join(expected.error)}", described(outcome)
            )
        return
    if errors:
        yield Failure(endpoint.at, f"{endpoint.name} to end as its steps say", described(outcome))
    elif (
        endpoint.kind == "run"
        and not (expected and expected.exit)
        and outcome.exit_status
        and not outcome.ended_by_us
    ):
        yield Failure(
            endpoint.at, f"{endpoint.name} to exit with 0", f"{outcome.exit_status}: {last_lines(outcome)}"
        )
    elif endpoint.kind == "connect" and not outcome.connections:
        yield Failure(endpoint.at, f"{endpoint.name} to connect", "it never tried")


def described(outcome: EndpointOutcome) -> str:
    parts = [f"{outcome.error}: {outcome.error_text}"] if outcome.error else []
    for c in outcome.connections:
        if c.error:
            parts.append(f"{c.error} in {c.error_step}" + (f": {c.error_text}" if c.error_text else ""))
    return "; ".join(parts[:3]) or "no error"


def last_lines(outcome: EndpointOutcome) -> str:
    return " | ".join(outcome.output.strip().splitlines()[-3:]) or "it printed nothing"


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
    if expected.output is not None and expected.output not in outcome.output:
        yield Failure(expected.at, f"{outcome.name} to print {expected.output!r}", last_lines(outcome))


def throughput(outcome: EndpointOutcome) -> float | None:
    """Bits per second of payload, from the first byte to the last; None without two moments to measure."""
    moments = [
        (c.first_byte_ns, c.last_byte_ns) for c in outcome.connections if c.first_byte_ns and c.last_byte_ns
    ]
    if not moments:
        return None
    span_ns = max(last for _, last in moments) - min(first for first, _ in moments)
    volume = outcome.received_bytes or outcome.sent_bytes
    return volume * 8e9 / span_ns if span_ns > 0 else None


def duration_ns(outcome: EndpointOutcome) -> int | None:
    moments = [(c.opened_ns, c.closed_ns) for c in outcome.connections if c.opened_ns and c.closed_ns]
    return max(end for _, end in moments) - min(start for start, _ in moments) if moments else None
