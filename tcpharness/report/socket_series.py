"""The sockets of a run as plain data: who they are, and a time series of what they showed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tcpharness.evidence import Evidence, SocketHistory, SocketSample
from tcpharness.scenario.socket_fields import FIELDS

OF_INFO = tuple((each.name, each.source) for each in FIELDS if each.source)


def sockets_as_json(evidence: Evidence) -> dict[str, Any]:
    """`sampling` (how closely they were watched; null: not at all) and `sockets`."""
    return {
        "sampling": asdict(evidence.sampling) if evidence.sampling else None,
        "sockets": [history_as_json(history) for history in evidence.sockets],
    }


def history_as_json(history: SocketHistory) -> dict[str, Any]:
    """The series has one list for each value, all of one length, as the kernel counts: microseconds, bytes,
    bytes a second. A look that shows nothing new is left out; `last` is the whole TCP_INFO seen last."""
    looks = changes(history.samples)
    infos = [look.info for look in looks]
    series: dict[str, list[Any]] = {
        "time_ns": [look.time_ns for look in looks],
        "state": [look.state for look in looks],
        "recv_q": [look.recv_q for look in looks],
        "send_q": [look.send_q for look in looks],
        "timer": [look.timer for look in looks],
        "expires_ms": [look.expires_ms if look.timer else None for look in looks],
    }
    if any(infos):
        series |= {name: [info.get(source) for info in infos] for name, source in OF_INFO}
    return {
        "host": history.host,
        "local": list(history.local),
        "remote": list(history.remote),
        "endpoint": history.endpoint,
        "program": history.program,
        "pid": history.pid,
        "uid": history.uid,
        "congestion": history.congestion,
        "looks": len(history.samples),
        "series": series,
        "last": next((look.info for look in reversed(history.samples) if look.info), {}),
    }


def changes(samples: list[SocketSample]) -> list[SocketSample]:
    """Those that differ from the one before in what the series shows."""
    kept: list[SocketSample] = []
    last: object = None
    for look in samples:
        shown = (look.state, look.recv_q, look.send_q, look.timer, *(look.info.get(s) for _, s in OF_INFO))
        if shown != last:
            kept.append(look)
            last = shown
    return kept
