"""Sockets watched while real traffic runs: every one of them, who holds it, and what it showed."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from built_lab import BuildLab

from tcpharness.evidence import Sampling, SocketHistory
from tcpharness.lab.build import Lab
from tcpharness.lab.inet_diag import INODE_AT, MESSAGE, error_of, messages, read
from tcpharness.lab.sampler import OWNERS_NS, SHARE, Owners
from tcpharness.lab.sampling import Watch, name_endpoints

pytestmark = pytest.mark.netns
PAIR = "hosts: [client, server]\nlinks: [[client, server]]"
MS = 1_000_000
Work = Callable[[Lab], None]


def watched(lab: Lab, work: Work, interval_ns: int = MS) -> tuple[Sampling, list[SocketHistory]]:
    async def run() -> tuple[Sampling, list[SocketHistory]]:
        watch = Watch(lab, interval_ns)
        await watch.start()
        try:
            await asyncio.to_thread(work, lab)
            return await watch.finish()
        finally:
            watch.close()

    return asyncio.run(run())


def family(lab: Lab) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in lab.plan.names["server"] else socket.AF_INET


def conversation(lab: Lab) -> None:
    """A connection that is used, looked at while it lives, and closed by the client."""
    with lab.hosts["server"].socket(family(lab), socket.SOCK_STREAM) as listening:
        listening.bind((lab.plan.names["server"], 105))
        listening.listen(3)
        with lab.hosts["client"].socket(family(lab), socket.SOCK_STREAM) as client:
            client.connect((lab.plan.names["server"], 105))
            server, _ = listening.accept()
            with server:
                client.sendall(bytes(5000))
                got = 0
                while got < 5000:
                    got += len(server.recv(5000))
                wait_looked_at(client)
                client.shutdown(socket.SHUT_WR)
                assert server.recv(1) == b""


def wait_looked_at(client: socket.socket) -> None:
    """Some rounds of the sampler: it sends nothing, so time is all there is to wait for."""
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)


@pytest.mark.parametrize("ip", [4, 6])
def test_every_socket_from_first_to_last(build_lab: BuildLab, ip: int) -> None:
    lab = build_lab(PAIR, ip=ip)
    told, found = watched(lab, conversation)
    assert told.notes == []
    assert told.samples >= 3
    by_host = {(h.host, h.samples[0].state == "LISTEN"): h for h in found}
    assert sorted(by_host) == [("client", False), ("server", False), ("server", True)]
    client, server = by_host["client", False], by_host["server", False]
    assert client.local == server.remote
    assert client.remote == server.local == (lab.plan.names["server"], 105)
    states = {sample.state for sample in client.samples}
    assert {"ESTABLISHED", "TIME_WAIT"} <= states
    last = [s for s in server.samples if s.state == "ENDED"]
    assert last[0].info["bytes_received"] >= 5000  # the kernel's own last word
    alive = next(s for s in client.samples if s.state == "ESTABLISHED")
    assert alive.info["snd_cwnd"] > 0
    assert [s.time_ns for s in client.samples] == sorted(s.time_ns for s in client.samples)
    assert by_host["server", True].samples[0].send_q == 3


def test_whose_they_are(build_lab: BuildLab) -> None:
    _, found = watched(build_lab(PAIR), conversation)
    with open(f"/proc/{os.getpid()}/comm") as file:
        own = file.read().strip()
    assert {(h.pid, h.program) for h in found} == {(os.getpid(), own)}, found


def test_one_that_lives_between_two_looks_is_known_all_the_same(build_lab: BuildLab) -> None:
    """Asked once an hour: what is left is the kernel's word as they end."""
    told, found = watched(build_lab(PAIR), conversation, 3600 * 1000 * MS)
    assert told.samples <= 2
    ended = [h for h in found if any(s.state == "ENDED" for s in h.samples)]
    assert any(h.samples[-1].info.get("bytes_received", 0) >= 5000 for h in ended)


def test_it_spends_no_more_than_it_may(build_lab: BuildLab) -> None:
    """Asked for more than can be: it asks less often."""
    told, _ = watched(build_lab(PAIR), conversation, 1)
    assert told.interval_ns == 1
    assert told.effective_ns > 100_000
    assert told.cpu_ns <= told.duration_ns / SHARE * 2 + 10 * MS  # looking for owners comes on top


def test_a_namespace_s_table_is_its_own(build_lab: BuildLab) -> None:
    with build_lab(PAIR).hosts["client"].entered():
        size = int(Path("/proc/sys/net/ipv4/tcp_ehash_entries").read_text())
    assert size == 1024 or size < 0  # negative: the machine's, as kernels before 6.1 have it


def test_an_answer_that_is_an_error() -> None:
    answer = b"\x24\x00\x00\x00\x02\x00" + bytes(10) + (-2).to_bytes(4, "little", signed=True) + bytes(16)
    ((kind, at, _),) = messages(answer)
    assert kind == 2
    assert "tcp_diag" in str(error_of(answer, at))
    assert list(read(answer, 1)) == []
    assert 16 + MESSAGE.size - 4 == INODE_AT


def test_a_listener_is_named_by_its_port() -> None:
    from tcpharness.evidence import ConnectionOutcome, EndpointOutcome, Evidence, SocketSample

    evidence = Evidence()
    ends = ("10.0.0.1", 4), ("10.0.0.2", 105)
    evidence.endpoints["c"] = EndpointOutcome(
        "c", "client", "connect", [ConnectionOutcome(local=ends[0], remote=ends[1]), ConnectionOutcome()]
    )
    state = SocketSample(1, "LISTEN", 0, 0, "", 0, 0, {})
    evidence.sockets = [
        SocketHistory("client", ("::ffff:10.0.0.1", 4), ("::ffff:10.0.0.2", 105), 0),
        SocketHistory("server", ("0.0.0.0", 105), ("0.0.0.0", 0), 0, samples=[state]),
        SocketHistory("server", ("0.0.0.0", 9), ("0.0.0.0", 0), 0, samples=[state]),
    ]
    name_endpoints(evidence, {("server", 105): "s"})
    assert [h.endpoint for h in evidence.sockets] == ["c", "s", None]


@pytest.mark.parametrize(
    ("local", "remote", "endpoint"),
    [
        (("0.0.0.0", 4), ("10.0.0.2", 0), "c"),  # aborted: the kernel had let go of its ends
        (("::", 4), ("10.0.0.2", 0), "c"),
        (("10.0.0.1", 5), ("10.0.0.2", 99), "refused"),  # never had a peer
        (("10.0.0.1", 4), ("10.0.0.3", 7), None),  # somebody else's
        (("0.0.0.0", 6), ("10.0.0.2", 0), None),  # of two that had the port
    ],
)
def test_a_socket_without_its_ends_is_named_by_its_port(
    local: tuple[str, int], remote: tuple[str, int], endpoint: str | None
) -> None:
    from tcpharness.evidence import ConnectionOutcome, EndpointOutcome, Evidence

    server = ("10.0.0.2", 105)
    evidence = Evidence()
    for name, port, other in (("c", 4, server), ("refused", 5, None), ("d", 6, server), ("e", 6, server)):
        connection = ConnectionOutcome(local=("10.0.0.1", port), remote=other)
        evidence.endpoints[name] = EndpointOutcome(name, "client", "connect", [connection])
    evidence.sockets = [SocketHistory("client", local, remote, 0)]
    name_endpoints(evidence, {})
    assert evidence.sockets[0].endpoint == endpoint
    if endpoint == "c":
        assert (evidence.sockets[0].local, evidence.sockets[0].remote) == (("10.0.0.1", 4), server)


def test_a_listener_has_no_tcp_info(build_lab: BuildLab) -> None:
    _, found = watched(build_lab(PAIR), conversation)
    (listener,) = [history for history in found if history.listens]
    assert [sample.info for sample in listener.samples] == [{}] * len(listener.samples)


def test_who_holds_a_socket_is_looked_for_again_when_it_was_too_soon_or_too_early() -> None:
    """Under load two lookings came within 20 ms, and the second one's sockets belonged to nobody for ever."""
    owners = Owners(frozenset(), os.getpid())
    with socket.socket() as first, socket.socket() as second:
        mine, other = (os.fstat(s.fileno()).st_ino for s in (first, second))
        assert owners.look_for({mine, 1}, 0)
        assert owners.known[mine] is not None
        assert owners.known[1] is None
        assert not owners.look_for({other}, OWNERS_NS - 1)
        assert other not in owners.known
        owners.doubt()
        assert 1 not in owners.known
        assert owners.look_for({other, 1}, OWNERS_NS - 1)
        assert owners.known[other] == owners.known[mine]


def test_a_look_that_is_asked_for_finds_the_holder_at_once(build_lab: BuildLab) -> None:
    """Under load a program had ended 20 ms after the look, when the sampler came to look for it."""
    lab = build_lab(PAIR)
    server = lab.hosts["server"]

    async def run() -> list[SocketHistory]:
        watch = Watch(lab, 1000 * MS)  # it looks when it is asked to
        await watch.start()
        try:
            for port in (105, 106, 107):
                with server.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
                    listening.bind(("", port))
                    listening.listen()
                    await watch.look()
            return (await watch.finish())[1]
        finally:
            watch.close()

    held = {history.local[1]: history.pid for history in asyncio.run(run())}
    assert held == dict.fromkeys((105, 106, 107), os.getpid())
