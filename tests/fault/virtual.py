"""Plays frames through an engine in virtual time, and writes down what comes out.

A transcript is what is tested. A line at the margin is a frame that comes in, in the one-line
notation, `>` from the client and `<` from the server; indented below it is what goes out until the
next one comes in. A frame that goes on at once as it came has nothing below it, `nothing` says that
it does not, and `same` that it does besides other things.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import dedent, indent

from tcpharness.fault.craft import build_template
from tcpharness.fault.engine import Engine, Port, Send
from tcpharness.fault.facts import flow_facts
from tcpharness.packet import checksum
from tcpharness.packet.address import address_bytes
from tcpharness.packet.notation import made_payload, options_text, parse_line
from tcpharness.packet.segment import SYN, Segment, decode, flags_text
from tcpharness.scenario.load import load
from tcpharness.scenario.model import Case
from tcpharness.scenario.plan import make_plan

HOSTS = ("client", "server")
MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
ADDRESSES = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
PORTS = (40000, 105)
MS = 1_000_000

SCENARIO = """
scenario: virtual
expect: {findings: {client: {}}}
ip: [4, 6]
hosts: [client, server]
links: [{join: [client, server], delay: DELAY, addresses: {ADDRESSES}}]
endpoints:
  server: {on: server, listen: 105, process: on, do: [receive: eof]}
  client: {on: client, connect: server, do: [close]}
  other: {on: client, connect: "server:106", do: [close]}
faults:
"""
BY_FAMILY = {
    4: "client: 10.0.0.1/24, server: 10.0.0.2/24",
    6: "client: fd00::1/64, server: fd00::2/64",
}


def case(faults: str, version: int = 4, delay: str = "0s") -> Case:
    """A case with these faults, as a scenario has them below `faults:`."""
    text = SCENARIO.replace("DELAY", delay).replace("ADDRESSES", BY_FAMILY[version])
    text = text.replace("ip: [4, 6]", f"ip: {version}") + indent(dedent(faults).strip(), "  ") + "\n"
    return load(text, "virtual.yaml")[0]


def engine(faults: str, version: int = 4, delay: str = "0s") -> Engine:
    planned = case(faults, version, delay)
    ports = [
        Port(host, mac, address_bytes(address))
        for host, mac, address in zip(HOSTS, MACS, ADDRESSES[version], strict=True)
    ]
    templates = {
        (fault.name, place): {v: build_template(action, v) for v in (4, 6)}
        for fault in planned.faults
        for place, action in enumerate(fault.do)
        if action.do == "inject"
    }
    flows = flow_facts(make_plan(planned, 0))
    return Engine(planned.faults, ports, delay_ns=planned.links[0].delay_ns, flows=flows, templates=templates)


def frame(line: str, version: int = 4) -> tuple[int, int, bytes]:
    """(time_ns, port that it comes in from, the frame) of one line of a transcript."""
    words = line.split()
    side = 0 if words[1] == ">" else 1
    if words[1] in "<>":
        here, there = ADDRESSES[version][side], ADDRESSES[version][1 - side]
        ends = f"{here}.{PORTS[side]} > {there}.{PORTS[1 - side]}:"
        line = f"{words[0]} {ends} {' '.join(words[2:])}"
    else:
        side = 0 if words[1].startswith(ADDRESSES[version][0] + ".") else 1
    segment = parse_line(line)
    return segment.time_ns, side, MACS[1 - side] + MACS[side] + segment.data[12:]


def play(engine: Engine, transcript: str, version: int = 4) -> str:
    """The transcript as it really goes."""
    lines: list[str] = []
    coming = [line for line in dedent(transcript).strip().splitlines() if line and line[0] != " "]
    for line in coming:
        now_ns, port, data = frame(line, version)
        lines += _until(engine, now_ns)
        out = [_line(now_ns, send, (1 - port, data)) for send in engine.frame(now_ns, port, data)]
        lines.append(line)
        if out != ["same"]:
            lines += [f"    {text}" for text in out or ["nothing"]]
    return "\n".join([*lines, *_until(engine, None)])


def check(faults: str, transcript: str, *, versions: Iterable[int] = (4, 6), delay: str = "0s") -> Engine:
    """The transcript is what happens, in both families; the last engine, to be asked more."""
    for version in versions:
        playing = engine(faults, version, delay)
        expected = [line for line in dedent(transcript).splitlines() if line]
        assert play(playing, transcript, version).splitlines() == expected
    return playing


def _until(engine: Engine, now_ns: int | None) -> Iterator[str]:
    while (at_ns := engine.next_deadline()) is not None and (now_ns is None or at_ns <= now_ns):
        for send in engine.due(at_ns):
            yield f"    {_line(at_ns, send, None)}"


def _line(now_ns: int, send: Send, same: Send | None) -> str:
    if send == same:
        return "same"
    port, data = send
    segment = decode(data)
    words = [f"{now_ns / 1e9:.3f}", "<" if port == 0 else ">"]
    if not segment.is_tcp:
        return " ".join([*words, segment.kind])
    end = (segment.seq + segment.payload_len) % (1 << 32)
    words += [flags_text(segment.flags), f"{segment.seq}:{end}({segment.payload_len})"]
    if segment.flags & 16 or segment.ack:
        words.append(f"ack {segment.ack}")
    if segment.win != (65535 if segment.flags & SYN else 1000):
        words.append(f"win {segment.win}")
    if segment.options:
        words.append(f"<{options_text(segment)}>")
    extra = ", ".join(_extra(segment, port))
    return " ".join([*words, f"[{extra}]"] if extra else words)


def _extra(segment: Segment, port: int) -> Iterator[str]:
    """What is not as usual."""
    usual = {"ttl": 64, "tos": 0, "id": 0, "reserved": 0, "urg": 0, "df": True}
    yield from (
        f"{name} {getattr(segment, name)}" for name, value in usual.items() if getattr(segment, name) != value
    )
    if segment.sport != PORTS[1 - port] or segment.dport != PORTS[port]:
        yield f"ports {segment.sport} {segment.dport}"
    if segment.payload != made_payload(segment.seq, segment.payload_len):
        yield f"payload {segment.payload.decode('latin-1')!r}"
    if segment.malformed:
        yield segment.malformed
    for name, verdict in (("cksum", checksum.verdict(segment)), ("ip_cksum", checksum.ip_verdict(segment))):
        if verdict.word not in ("correct", "unverified"):
            yield f"{name} bad"
