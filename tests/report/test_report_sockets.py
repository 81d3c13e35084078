"""The sockets' time series in a result: one list a value, what changed only."""

from __future__ import annotations

import json

from tcpharness.evidence import Evidence, Sampling, SocketHistory, SocketSample
from tcpharness.report.socket_series import sockets_as_json


def look(at: int, state: str = "ESTABLISHED", **info: int) -> SocketSample:
    return SocketSample(at, state, 0, 0, "", 0, 0, info)


def test_a_series() -> None:
    history = SocketHistory("client", ("10.0.0.1", 4), ("10.0.0.2", 105), 0, "cubic", 7, "nc", "client")
    history.samples = [
        look(1, snd_cwnd=10, last_data_sent=0),
        look(2, snd_cwnd=10, last_data_sent=5),  # time alone is no news
        look(3, snd_cwnd=7),
        look(4, "TIME_WAIT"),
    ]
    evidence = Evidence(sockets=[history], sampling=Sampling(5, 6, 3, 1, 20, 4, ["a note"]))
    plain = json.loads(json.dumps(sockets_as_json(evidence)))
    (found,) = plain["sockets"]
    assert (found["local"], found["remote"], found["looks"]) == (["10.0.0.1", 4], ["10.0.0.2", 105], 4)
    assert (found["endpoint"], found["program"], found["pid"], found["congestion"]) == (
        "client",
        "nc",
        7,
        "cubic",
    )
    assert found["series"]["time_ns"] == [1, 3, 4]
    assert found["series"]["cwnd"] == [10, 7, None]
    assert found["series"]["state"] == ["ESTABLISHED", "ESTABLISHED", "TIME_WAIT"]
    assert {len(values) for values in found["series"].values()} == {3}
    assert found["last"] == {"snd_cwnd": 7}
    assert plain["sampling"]["notes"] == ["a note"]


def test_a_listener_has_no_congestion_window() -> None:
    history = SocketHistory("server", ("0.0.0.0", 105), ("0.0.0.0", 0), 0, samples=[look(1, "LISTEN")])
    (found,) = sockets_as_json(Evidence(sockets=[history]))["sockets"]
    assert "cwnd" not in found["series"]
    assert found["last"] == {}


def test_nobody_watched() -> None:
    assert sockets_as_json(Evidence()) == {"sampling": None, "sockets": []}
