"""Tracepoints: lines of trace_pipe as events, whose they are, and a tracer on the real kernel."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from pathlib import Path

import pytest
from built_lab import BuildLab

from tcpharness.evidence import Trace, TraceEvent
from tcpharness.lab import syscall, tracer
from tcpharness.lab.doctor import is_root
from tcpharness.lab.spawner import Spawner
from tcpharness.lab.trace_text import Reader
from tcpharness.lab.tracer import Unavailable, canonical, find_tracefs
from tcpharness.lab.tracing import Tracing

PIPE = """\
    python-25510   [000] ..s2. 20002.115359: tcp_probe: family=AF_INET src=10.0.0.1:4 dest=10.0.0.2:105 \
data_len=1 snd_nxt=0x2b5be978 sock_cookie=5884 skbaddr=00000000f5a912b7 skaddr=00000000868c2b28
CPU:1 [LOST 12 EVENTS]
    python-25510   [000] ..s1. 20002.125143: kfree_skb: skbaddr=00000000f5a912b7 rx_sk=0000000000000000 \
protocol=2048 location=tcp_v4_rcv+0x91/0x13f0 reason: TCP_OLD_DATA
     <idle>-0      [001] ..s1. 20002.125150: kfree_skb: skbaddr=00000000f5a912b7 rx_sk=00000000868c2b28 \
protocol=2048 location=tcp_x+0x91/0x13f0 reason: TCP_OVERWINDOW
     <idle>-0      [001] ..s1. 20002.125160: kfree_skb: skbaddr=0000000011111111 rx_sk=0000000000000000 \
protocol=2048 location=tcp_x+0x91/0x13f0 reason: NO_SOCKET
     <idle>-0      [001] ..s1. 20002.2: no line of ours
     <idle>-0      [001] ..s1. 20003.000001: tcp_retransmit_skb: skbaddr=1 skaddr=2 family=AF_INET6 \
sport=105 dport=4 saddr=0.0.0.0 daddr=0.0.0.0 saddrv6=fd00::1 daddrv6=fd00::2 state=TCP_ESTABLISHED err=-11
     <idle>-0      [001] ..s1. 20003.000002: tcp_bad_csum: skbaddr=3 src=[fd00::1]:4 dest=[fd00::2]:105
"""


def test_lines_as_events() -> None:
    reader = Reader(epoch_ns=1_000_000_000)
    events = list(reader.read(PIPE))
    assert reader.lost == 12
    probe, old, beyond, nobody, again, bad = events
    assert probe.time_ns == 20003_115_359_000
    assert (probe.here, probe.there) == (("10.0.0.1", 4), ("10.0.0.2", 105))
    assert (old.name, old.reason, old.here) == ("kfree_skb", "TCP_OLD_DATA", ("10.0.0.1", 4))  # the same skb
    assert (beyond.reason, beyond.here) == ("TCP_OVERWINDOW", ("10.0.0.1", 4))  # the same socket
    assert nobody.here == ("", 0)
    assert (again.here, again.there, again.err) == (("fd00::1", 105), ("fd00::2", 4), -11)
    assert (bad.here, bad.there) == (("fd00::2", 105), ("fd00::1", 4))  # it happened at its target


ENDS = "src=10.0.0.2:1 dest=10.0.0.1:5"
RESET = f"x [0] . 1.000001: tcp_send_reset: skbaddr=0a skaddr=00 {ENDS} reason=X\n"
PROBE = f"x [0] . 1.000001: tcp_probe: family=AF_INET {ENDS} skbaddr=0a skaddr=0b\n"
BAD = "x [0] . 1.000001: tcp_bad_csum: skbaddr=0a src=10.0.0.1:5 dest=10.0.0.2:1\n"
THERE, NOBODY = ("10.0.0.2", 1), ("", 0)


def freed(reason: str, sock: str = "00") -> str:
    return f"x [0] . 1.000002: kfree_skb: skbaddr=0a rx_sk={sock} reason: {reason}\n"


def test_an_skb_s_address_is_used_again() -> None:
    """After kfree_skb the same address is another segment's."""
    _, first, second = Reader().read(RESET + freed("NO_SOCKET") + freed("NO_SOCKET"))
    assert (first.here, second.here) == (THERE, NOBODY)


@pytest.mark.parametrize(
    ("before", "drop", "here"),
    [
        (BAD, freed("TCP_CSUM"), THERE),
        (BAD, freed("TCP_CSUM", sock="0c"), THERE),  # before any probe has named its socket
        (PROBE, freed("TCP_OLD_DATA"), THERE),  # a kernel that does not tell the socket
        (PROBE, freed("TCP_OLD_DATA", sock="0b"), THERE),
        (PROBE, freed("TCP_LISTEN_OVERFLOW", sock="0c"), NOBODY),  # another socket, the skb used again
        (PROBE, freed("NO_SOCKET"), NOBODY),  # a socket's skb has one: this is another
        # A middlebox's stack throws away what it overhears, in memory that was a segment's a moment ago.
        (PROBE, freed("OTHERHOST"), NOBODY),
        (PROBE, freed("IP_INADDRERRORS"), NOBODY),
        (RESET, freed("OTHERHOST"), NOBODY),
    ],
)
def test_only_what_tcp_drops_is_a_flow_s(before: str, drop: str, here: tuple[str, int]) -> None:
    assert [event.here for event in Reader().read(before + drop)][1] == here


def test_addresses_have_one_spelling() -> None:
    assert canonical("fd00:0:0::1") == "fd00::1"
    assert canonical("") == ""


@pytest.mark.parametrize("lacks", ["no directory", "no right"])
def test_without_tracefs_it_says_why(lacks: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tracer, "PLACES", (str(tmp_path if lacks == "no right" else tmp_path / "x"),))

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(syscall, "unshare", refuse)
    with pytest.raises(Unavailable) as error:
        find_tracefs()
    wanted = "can't be mounted: Operation not permitted" if lacks == "no right" else "has no tracefs"
    assert wanted in str(error.value)


# --- on the real kernel

DEMANDED = (["kfree_skb"], ["tcp_probe", "kfree_skb"])


@pytest.mark.netns
@pytest.mark.parametrize("ip", [4, 6])
def test_a_reset_is_its_case_s_and_nobody_else_s(build_lab: BuildLab, spawner: Spawner, ip: int) -> None:
    if not is_root():
        pytest.skip("tracefs needs root")
    lab = build_lab("hosts: [client, server]\nlinks: [[client, server]]", ip=ip)
    other = build_lab("hosts: [client, server]\nlinks: [[client, server]]", ip=ip)
    family = socket.AF_INET if ip == 4 else socket.AF_INET6

    async def run() -> tuple[Trace, Trace]:
        tracing = Tracing()
        await tracing.start(spawner)
        try:
            for case, each in enumerate((lab, other)):
                await tracing.watch(case, each.plan.names.values(), DEMANDED[case])
            with (
                lab.hosts["client"].socket(family, socket.SOCK_STREAM) as sock,
                pytest.raises(ConnectionRefusedError),
            ):
                sock.connect((lab.plan.names["server"], 7))
            taken = await tracing.take(0), await tracing.take(1)
            assert not {"tcp_probe", "kfree_skb"} & set(tracing.events)  # nobody asks for it any more
            return taken
        finally:
            await tracing.close()

    mine, others = asyncio.run(run())
    if mine.refused:
        pytest.skip(mine.refused)
    assert others.events == []
    assert "tcp_probe" in others.traced
    names = [(event.name, event.here[0]) for event in mine.events]
    client, server = lab.plan.names["client"], lab.plan.names["server"]
    assert ("tcp_send_reset", server) in names
    assert ("tcp_receive_reset", client) in names
    freed = [event for event in mine.events if event.name == "kfree_skb" and event.here[0] == server]
    assert [event.reason for event in freed] == ["NO_SOCKET"]


@pytest.mark.netns
def test_what_is_lost_or_too_much_is_told_to_every_case_that_was_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two cases run while events are lost: neither may count as if it had all of them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            each = tracer.Tracer(theirs)
        except (Unavailable, OSError) as error:
            pytest.skip(str(error))
        try:
            monkeypatch.setattr(tracer, "MOST_EVENTS", 1)
            for case in (0, 1):
                each._watch({"case": case, "addresses": [f"10.9.9.{case}"]})
            each._reader.lost += 12
            each._watch({"case": 2, "addresses": ["10.9.9.2"]})
            for _ in range(3):
                each._give(TraceEvent(1, "tcp_send_reset", ("10.9.9.0", 1), ("10.9.9.9", 1)))
            for case in (0, 1, 2):
                each._take({"case": case})
        finally:
            os.close(each._pipe)
            tracer.remove_instance(each._instance)
        told = [json.loads(line) for line in ours.recv(1 << 16).splitlines()]
    assert [line["lost"] for line in told if line["did"] == "take"] == [12 + 2, 12, 0]


@pytest.mark.netns
def test_cases_that_share_addresses_are_told(spawner: Spawner) -> None:
    async def run() -> list[Trace]:
        tracing = Tracing()
        await tracing.start(spawner)
        try:
            for case in (0, 1, 2):
                await tracing.watch(case, ["10.9.9.1"] if case < 2 else ["10.9.9.2"], [])
            return [await tracing.take(case) for case in (0, 1, 2)]
        finally:
            await tracing.close()

    taken = asyncio.run(run())
    if taken[0].refused:
        pytest.skip(taken[0].refused)
    assert [trace.shared for trace in taken] == [True, True, False]
    assert [trace.is_whole for trace in taken] == [False, False, True]


@pytest.mark.netns
def test_a_tracer_that_never_started_refuses() -> None:
    async def run() -> Trace:
        tracing = Tracing()
        await tracing.watch(1, ["10.0.0.1"], ["tcp_probe"])
        taken = await tracing.take(1)
        await tracing.close()
        return taken

    assert asyncio.run(run()).refused == "tracing was never started"
