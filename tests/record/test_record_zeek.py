"""Zeek's conn.log, in the form that its documentation gives."""

from __future__ import annotations

import json

import pytest

from tcpharness.monitor.library import load_shipped
from tcpharness.record.formats import read_records
from tcpharness.record.mapping import findings_of

CONNECTION = {
    "ts": 1747147647.668533, "uid": "CmgO6f3ddanrRjiCoc", "id.orig_h": "10.0.0.1", "id.orig_p": 36778,
    "id.resp_h": "10.0.0.2", "id.resp_p": 105, "proto": "tcp", "conn_state": "SF", "missed_bytes": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("history", "state", "names"),
    [
        ("ShADadFf", "SF", set()),
        ("ShADTadFf", "SF", {"retransmission"}),
        ("ShADadtwFf", "SF", {"retransmission", "zero_window"}),
        ("ShADaCg", "RSTO", {"bad_tcp_checksum", "gap"}),
        ("Sr", "REJ", {"reset", "connection_refused"}),
        ("S", "S0", {"connection_unanswered"}),
        ("Q", "OTH", {"impossible_flags"}),
    ],
)
def test_history_and_state_are_findings(history: str, state: str, names: set[str]) -> None:
    description = load_shipped("zeek")
    line = json.dumps({**CONNECTION, "history": history, "conn_state": state})
    found = findings_of(description, read_records(description.output, line + "\n").records)
    assert {finding.name for finding in found} == names
    for finding in found:
        assert finding.flow is not None
        assert (finding.flow.src, finding.flow.dport, finding.time_ns) == (
            "10.0.0.1",
            105,
            1747147647668533000,
        )


def test_what_is_not_tcp_is_passed_over() -> None:
    description = load_shipped("zeek")
    line = json.dumps({**CONNECTION, "proto": "udp", "history": "Dc"})
    assert findings_of(description, read_records(description.output, line + "\n").records) == []
