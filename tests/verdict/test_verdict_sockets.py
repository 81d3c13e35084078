"""`expect.sockets` and `expect.ports` against made-up looks at sockets."""

from __future__ import annotations

import pytest
from verdict_scene import DROP, Scene, text_of

from tcpharness.evidence import Sampling, SocketHistory, SocketSample
from tcpharness.scenario.load import load
from tcpharness.scenario.problem import ScenarioErrors

SECOND = 1_000_000_000
HERE, THERE = ("10.0.0.1", 40000), ("10.0.0.2", 105)


def look(
    at: int, state: str = "ESTABLISHED", *, timer: str = "", queue: int = 0, **info: int
) -> SocketSample:
    whole = {"snd_cwnd": 10, "rtt": 20_000, "total_retrans": 0, "delivery_rate": 1_000_000} | info
    known = {} if state in ("TIME_WAIT", "SYN_RECV") else whole
    return SocketSample(at, state, queue, 0, timer, 0, 0, {k: v for k, v in known.items() if v >= 0})


def watched(expect: str, *more: SocketHistory, faults: str = "") -> Scene:
    """The client's socket at 1, 2 and 3; it fires at 2; everything ends at 9, in TIME_WAIT."""
    scene = Scene(f"sockets: {{client: {expect}}}", faults=faults)
    scene.talk()
    if faults:
        entry = scene.treat(scene.frame("client", "P.", seq=900, length=9), "drop", [], "lost")
        scene.link().entries[-1] = entry.__class__(
            **{n: getattr(entry, n) for n in entry.__slots__} | {"time_ns": 2}
        )
    client = SocketHistory("client", HERE, THERE, 0, "cubic", 7, "python", "client")
    client.samples = [
        look(1, "SYN_SENT", timer="retransmit"),
        look(1),
        look(2, snd_cwnd=20, timer="retransmit"),
        look(3, snd_cwnd=15, total_retrans=1, queue=5),
        look(9, "TIME_WAIT", timer="timewait"),
        look(10, "ENDED", snd_cwnd=16, total_retrans=2),
    ]
    scene.evidence.sockets = [client, *more]
    scene.evidence.sampling = Sampling(samples=3, end_ns=9, effective_ns=5_000_000)
    return scene


@pytest.mark.parametrize(
    "wanted",
    [
        "{total_retrans: 2, cwnd: 16}",
        "{state: established, cwnd: 15, total_retrans: 1, recv_q: 5 B}",
        "{state: syn_sent, timer: retransmit}",
        "{at: any, cwnd: 20}",
        "{at: any, cwnd: 99, count: 0}",
        "{at: end, state: time_wait, timer: timewait, count: 1}",
        "{at: end, state: established, count: 0}",
        "{rtt: 20ms}",
        '{rtt: "19ms..21ms"}',
        "{delivery_rate: 8mbit}",
        "{port: 105, program: python, congestion: cubic, endpoint: client, count: 1}",
        "{port: 106, count: 0}",
        "{congestion: reno, count: 0}",
        "[{cwnd: 16}, {state: established, cwnd: 15}]",
    ],
)
def test_holds(wanted: str) -> None:
    verdict = watched(wanted).judge()
    assert verdict.outcome == "pass", text_of(verdict)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("{total_retrans: 1}", "found 0, of 1 sockets that are meant and 1 looks"),
        ("{state: established, cwnd: 20}", "ESTABLISHED 5 0 10.0.0.1.40000 > 10.0.0.2.105 (client) cwnd:15"),
        ("{at: any, cwnd: 99}", "expected 1.. sockets of client at some moment cwnd 99"),
        ("{at: end, state: established}", "in established at the end"),
        ("{at: end, cwnd: 1}", "TIME_WAIT 0 0 10.0.0.1.40000"),
        ("{port: 106, count: 1}", "with port 106"),
        ("{state: established, timer: keepalive}", "timer keepalive"),
        ("{program: nc, count: 1}", "held by nc"),
        ("[{cwnd: 16}, {cwnd: 17}]", "cwnd 17"),
    ],
)
def test_fails_and_says_what_there_was(wanted: str, words: str) -> None:
    verdict = watched(wanted).judge()
    assert verdict.outcome == "fail"
    assert words in text_of(verdict)


def test_after_a_fault_it_is_the_first_look_that_counts() -> None:
    assert watched("{after: lost, cwnd: 20}", faults=DROP).judge().outcome == "pass"
    assert watched("{after: lost, cwnd: 15}", faults=DROP).judge().outcome == "fail"


def test_a_value_that_this_kernel_does_not_tell_skips() -> None:
    verdict = watched("{total_rto: 0}").judge()
    assert (verdict.outcome, "does not tell total_rto" in verdict.reason) == ("skip", True)


def test_a_value_that_is_not_known_yet_is_no_number() -> None:
    """min_rtt is ~0 until a round trip was measured: four thousand seconds would be a lie."""
    scene = watched('{at: any, min_rtt: "1us.."}')
    (client,) = scene.evidence.sockets
    client.samples = [look(1, "SYN_SENT", min_rtt=(1 << 32) - 1)]
    verdict = scene.judge()
    assert (verdict.outcome, "does not tell min_rtt" in verdict.reason) == ("skip", True)
    client.samples.append(look(2, min_rtt=40_000))
    assert scene.judge().outcome == "pass"


def test_a_listener_is_no_look_at_a_connection() -> None:
    """Its endpoint's connection came and went between two looks: nobody may read zeros off the listener."""
    scene = watched("{endpoint: client, bytes_received: 1 B}")
    listening = SocketHistory("client", ("0.0.0.0", 9), ("0.0.0.0", 0), 0, endpoint="client")
    listening.samples = [SocketSample(1, "LISTEN", 0, 128, "", 0, 0, {})]
    scene.evidence.sockets = [listening]
    scene.connection().opened_ns = 5
    verdict = scene.judge()
    assert (verdict.outcome, "no look at a socket of client" in verdict.reason) == ("skip", True)


def test_a_socket_that_lived_between_two_looks_skips() -> None:
    scene = watched("{state: established, cwnd: 15}")
    scene.evidence.sockets = []
    assert scene.judge().outcome == "fail"  # nobody knows of any
    scene.connection().opened_ns = 5
    verdict = scene.judge()
    assert verdict.outcome == "skip"
    assert "no look at a socket of client in time: they were taken every 5 ms" in verdict.reason


@pytest.mark.parametrize("expect", ["sockets: {client: {count: 0}}", "ports: {client: {}}"])
@pytest.mark.parametrize("why", ["the kernel does not list TCP sockets", "only 28 hosts can be watched"])
def test_no_socket_of_a_host_that_was_not_looked_at_proves_nothing(expect: str, why: str) -> None:
    scene = Scene(expect)
    scene.talk()
    scene.evidence.sampling = Sampling(samples=100, unseen={"client": why})
    verdict = scene.judge()
    assert (verdict.outcome, why in verdict.reason) == ("skip", True)
    scene.evidence.sampling.unseen = {"server": why}
    assert scene.judge().outcome == "pass"


def test_where_not_every_end_was_heard_of_only_the_end_can_be_judged() -> None:
    scene = watched("{count: 1}")
    assert scene.evidence.sampling is not None
    scene.evidence.sampling.unheard = {"client": "more sockets ended than could be noted"}
    verdict = scene.judge()
    assert (verdict.outcome, "more sockets ended" in verdict.reason) == ("skip", True)
    scene = watched("{at: end, count: 1}")
    assert scene.evidence.sampling is not None
    scene.evidence.sampling.unheard = {"client": "more sockets ended than could be noted"}
    assert scene.judge().outcome == "pass"


@pytest.mark.parametrize("key", ["sockets: {client: {cwnd: 16}}", "ports: {client: {105: any}}"])
def test_where_nobody_watched_it_skips(key: str) -> None:
    scene = Scene(key)
    scene.talk()
    scene.evidence.sampling = Sampling(notes=["the kernel does not list TCP sockets (module tcp_diag)"])
    verdict = scene.judge()
    assert verdict.outcome == "skip"
    assert "module tcp_diag" in verdict.reason


# --- ports


def listener(port: int, program: str | None, endpoint: str | None = None) -> SocketHistory:
    history = SocketHistory("server", ("0.0.0.0", port), ("0.0.0.0", 0), 0, "", 8, program, endpoint)
    history.samples = [look(1, "LISTEN")]
    return history


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ("{105: server, 80: nc}", ""),
        ("{105: python, 80: any}", ""),
        ("{105: server}", "expected no other port of server to listen\n    found port 80 did, held by nc"),
        ("{105: server, 80: nginx}", "expected nginx behind port 80 of server\n    found nc"),
        ("{105: server, 80: nc, 81: nc}", "expected port 81 of server to listen\n    found it never did"),
        ("{}", "port 105 did, held by python or server"),
    ],
)
def test_ports(ports: str, words: str) -> None:
    scene = Scene(f"ports: {{server: {ports}}}")
    scene.talk()
    scene.evidence.sampling = Sampling(samples=3)
    scene.evidence.sockets = [listener(105, "python", "server"), listener(80, "nc")]
    verdict = scene.judge()
    assert verdict.outcome == ("fail" if words else "pass")
    assert words in text_of(verdict)


# --- what a capture has not


def test_a_program_s_connection_that_the_capture_lacks_voids_the_run() -> None:
    scene = Scene("findings: {client: {}}")
    scene.talk()
    own = (scene.address("client"), 41000)
    program = SocketHistory("client", own, (scene.address("server"), 80), 0, "", 9, "curl")
    program.samples = [look(1)]
    scene.evidence.sockets = [program]
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert "curl's connection" in verdict.reason


# --- mistakes


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("sockets: {client: {cwnd: x}}", "is not a count"),
        ("sockets: {client: {}}", "it asks for nothing"),
        ("sockets: {client: {endpoint: client}}", "it asks for nothing"),
        ("sockets: {client: {at: end, after: lost, count: 1}}", "one moment is enough"),
        ("sockets: {client: {after: gone, count: 1}}", "gone"),
        ("sockets: {nobody: {count: 1}}", "nobody"),
        ("sockets: {client: {rtt: 5}}", "a time such as 50ms"),
        ("sockets: {client: {state: open}}", "established"),
        ("ports: {server: {http: any}}", "no port; expected a number from 1 to 65535"),
        ("ports: {server: {70000: any}}", "no port"),
    ],
)
def test_mistakes_are_named(expect: str, words: str) -> None:
    text = (
        "scenario: A\nhosts: [client, server]\nlinks: [[client, server]]\nendpoints:\n"
        "  server: {on: server, listen: 105, do: [receive: eof]}\n"
        "  client: {on: client, connect: server, do: [send: 1 B]}\n"
        f"{DROP}expect: {{{expect}}}\n"
    )
    with pytest.raises(ScenarioErrors) as error:
        load(text, "x.yaml")
    assert words in str(error.value)
