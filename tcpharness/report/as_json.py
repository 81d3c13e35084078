"""A finished run as plain data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tcpharness.evidence import CaptureOutcome, LinkOutcome
from tcpharness.report.socket_series import sockets_as_json
from tcpharness.scenario.fast import FACTOR
from tcpharness.verdict.result import Failure, Result
from tcpharness.verdict.transcript import digest

SCHEMA_VERSION = 1


def results_as_json(results: Sequence[Result]) -> dict[str, Any]:
    """All results, with their counts."""
    counts = {o: sum(r.verdict.outcome == o for r in results) for o in ("pass", "fail", "void", "skip")}
    return {
        "schema_version": SCHEMA_VERSION,
        "counts": counts,
        "results": [result_as_json(r) for r in results],
    }


def result_as_json(result: Result) -> dict[str, Any]:
    """One result: the verdict, and everything that it rests on."""
    evidence, verdict = result.evidence, result.verdict
    return {
        "schema_version": SCHEMA_VERSION,
        "id": result.case.id,
        "scenario": result.case.name,
        "values": result.case.values,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "failures": [failure_as_json(f) for f in verdict.failures],
        "discrepancies": verdict.discrepancies,
        "notes": verdict.notes,
        "agreements": [asdict(agreement) for agreement in verdict.agreements],
        "seed": result.seed,
        "lab": result.lab,  # the number that its addresses come from
        "transcript": {"sha256": digest(result.transcript), "lines": result.transcript},
        "time_factor": FACTOR if result.case.fast else 1,
        "started": result.started,
        "duration_s": result.duration_ns / 1e9,
        "endpoints": {
            name: asdict(o) | {"sent_bytes": o.sent_bytes, "received_bytes": o.received_bytes}
            for name, o in evidence.endpoints.items()
        },
        "captures": {vantage: capture_as_json(c) for vantage, c in evidence.captures.items()},
        "links": {name: link_as_json(link) for name, link in evidence.links.items()},
        "monitors": monitors_as_json(result),
        "counters": evidence.counters,  # all that this kernel has: one that is absent is one that it lacks
        **sockets_as_json(evidence),
        "trace": asdict(evidence.trace) if evidence.trace else None,
        "events": [asdict(event) for event in evidence.events],
        "problems": evidence.problems,
        "environment": result.environment,
        "versions": result.versions,
        "kept_in": result.out_dir,
    }


def failure_as_json(failure: Failure) -> dict[str, Any]:
    return {
        "at": str(failure.at),
        "expected": failure.expected,
        "actual": failure.actual,
        "packets": list(failure.packets),
        "capture": failure.capture,
    }


def capture_as_json(capture: CaptureOutcome) -> dict[str, Any]:
    """The figures and the findings; `complete`: every frame is in the file, whole."""
    plain = asdict(capture)
    report = plain.pop("report")
    for own in ("far_marker", "canary"):
        del plain[own]
    plain["heard"] = sorted(capture.heard)
    if report and capture.report is not None:
        # Not those of `plain`: asdict copies a Counter wrongly (it counts its items).
        report["counts"] = [
            {"name": name, "kind": kind, "level": level, "count": count}
            for (name, kind, level), count in capture.report.counts.items()
        ]
    return plain | {"complete": capture.complete()} | (report or {})


def monitors_as_json(result: Result) -> list[dict[str, Any]]:
    """What each monitor said at each vantage, its version, and its own verdict."""
    verdicts = {(v.monitor, v.vantage): v for v in result.verdict.monitors}
    shown = []
    for outcome in result.evidence.monitors:
        verdict = verdicts.get((outcome.monitor, outcome.vantage))
        judged = {"outcome": verdict.outcome, "reason": verdict.reason} if verdict else {}
        sets = {name: sorted(getattr(outcome, name)) for name in ("heard", "could_hear", "of_canary")}
        shown.append(asdict(outcome) | sets | judged)
    return shown


def link_as_json(link: LinkOutcome) -> dict[str, Any]:
    """The ledger: every frame that a fault named or an impairment touched, and how many passed untouched."""
    named = [e for e in link.entries if e.fault is not None or e.acts]
    return {
        "frames": len(link.entries),
        "untouched": sum(e.fate == "forward" for e in link.entries),
        "fired": link.fired,
        "impaired": link.impaired(),
        "error": link.error,
        "entries": [
            {
                "number": e.number,
                "time_ns": e.time_ns,
                "fate": e.fate,
                "fault": e.fault,
                "acts": e.acts,
                "came_in": e.came_in,
                "went_out": e.went_out,
                "head": e.head.hex(),
                "len": e.len_bytes,
            }
            for e in named
        ],
    }
