"""A case with all its witnesses, made up: what a middlebox does to each frame, and who sees it.

scene = Scene("faults: [...]", "findings: {client: {}}")
scene.pass_on(scene.frame("client", "S", seq=100))
assert scene.judge().outcome == "pass"
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

from tcpharness.analysis.finding import CaptureReport, Finding, FlowKey, Level
from tcpharness.evidence import CaptureOutcome, ConnectionOutcome, EndpointOutcome, Evidence, LinkOutcome
from tcpharness.fault.ledger import Entry, Fate
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.segment import decode, flags_value
from tcpharness.scenario.load import load
from tcpharness.scenario.model import Case
from tcpharness.scenario.plan import Plan, make_plan
from tcpharness.verdict.judge import judge
from tcpharness.verdict.result import Verdict

PAIR = "hosts: [client, server]\nlinks: [[client, server]]\n"
TALK = """endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 1000 B, close]}
"""
DROP = "faults: [{name: lost, when: {from: client, data: 1}, do: drop}]\n"
NOTHING_DONE = "endpoints: {server: {}}"  # an expectation that asks for nothing
MARKER = b"\xff" * 12 + b"\x88\xb5tcpharness 1"
MS = 1_000_000
LEVELS: dict[str, Level] = {"handshake": "info", "gap": "note", "duplicate_ack": "note"}


def case_of(expect: str, *, faults: str = "", endpoints: str = TALK, network: str = PAIR) -> Case:
    text = f"scenario: A\n{network}{endpoints}{faults}expect: {{{expect}}}\n"
    (case,) = load(text, "x.yaml")
    return case


class Scene:
    """A healthy pair of hosts with captures at both ends; a middlebox between them when there are faults."""

    def __init__(
        self,
        expect: str = NOTHING_DONE,
        *,
        faults: str = "",
        endpoints: str = TALK,
        network: str = PAIR,
    ) -> None:
        self.case = case_of(expect, faults=faults, endpoints=endpoints, network=network)
        self.plan: Plan = make_plan(self.case, 0)
        self.frames: dict[str, list[tuple[int, bytes]]] = {v: [] for v, _, _ in self.plan.vantages}
        self.evidence = Evidence()
        for vantage, host, interface in self.plan.vantages:
            self.evidence.captures[vantage] = CaptureOutcome(
                vantage, host, interface, f"{vantage}.pcap", captured=0, received=0, dropped=0,
                marker_seen=True, report=CaptureReport([], [], 0, {}, []),
            )  # fmt: skip
        for link in self.plan.links:
            if link.kind == "middlebox":
                fired = {fault.name: 1 for fault in self.case.faults if fault.link == link.name}
                self.evidence.links[link.name] = LinkOutcome(link.name, fired=fired)
        for e in self.case.endpoints:
            self.evidence.endpoints[e.name] = EndpointOutcome(e.name, e.on, e.kind, [ConnectionOutcome()])
        for each in self.case.hosts:
            self.evidence.counters[each.name] = {"TcpRetransSegs": 0, "TcpExtTCPTimeouts": 0}
            self.evidence.loopback[each.name] = 1  # so that made-up counters need not agree with the frames
        self.now_ns = 1_000_000_000_000

    # --- shorthands

    def capture(self, vantage: str = "client") -> CaptureOutcome:
        return self.evidence.captures[vantage]

    def endpoint(self, name: str = "client") -> EndpointOutcome:
        return self.evidence.endpoints[name]

    def connection(self, name: str = "client") -> ConnectionOutcome:
        return self.evidence.endpoints[name].connections[0]

    def link(self, name: str = "client-server") -> LinkOutcome:
        return self.evidence.links[name]

    def address(self, host: str) -> str:
        return self.plan.names[host]

    def end(self, host: str) -> tuple[bytes, str]:
        """The MAC address and the vantage of a host with one interface."""
        (mac,) = [e.mac for link in self.plan.links for e in link.ends if e.host == host]
        return bytes.fromhex(mac.replace(":", "")), host

    # --- traffic

    def frame(
        self,
        sender: str,
        flags: str = ".",
        *,
        seq: int = 0,
        ack: int = 0,
        length: int = 0,
        to: str | None = None,
        port: int = 40000,
        **fields: int | str | bytes,
    ) -> bytes:
        """A frame of the connection client.40000 > server.105, from either side."""
        receiver = to or next(host.name for host in self.case.hosts if host.name != sender)
        ports = (port, 105) if sender == "client" else (105, port)
        spec = Frame(
            self.address(sender), self.address(receiver), *ports, seq=seq, ack=ack, flags=flags_value(flags),
            win=1000, payload=bytes(n & 0xFF for n in range(length)),
        )  # fmt: skip
        data = encode(replace(spec, **fields))  # type: ignore[arg-type]
        return self.end(receiver)[0] + self.end(sender)[0] + data[12:]

    def seen(self, vantage: str, *frames: bytes) -> None:
        """Captured there, in this order."""
        for frame in frames:
            self.now_ns += MS
            self.frames[vantage].append((self.now_ns, frame))

    def pass_on(self, *frames: bytes, sender: str | None = None) -> None:
        """Left its host, went through the link (noted, where there is a middlebox), arrived."""
        for frame in frames:
            self.treat(frame, "forward", [frame])

    def treat(
        self,
        frame: bytes | None,
        fate: Fate,
        out: Sequence[bytes],
        fault: str | None = None,
        *,
        to: str | None = None,
    ) -> Entry:
        """A frame comes in (None: injected) and others go out; everybody sees and writes what is so."""
        whole = frame if frame is not None else out[0]
        hosts = {mac: host for host in self.plan.names for mac, _ in [self.end(host)]}
        sender, receiver = hosts[whole[6:12]], to or hosts[whole[:6]]
        if frame is not None:
            self.seen(self.end(sender)[1], frame)
        self.seen(self.end(receiver)[1], *out)
        entry = Entry(
            0, self.now_ns, fate, fault,
            (sender, zlib.crc32(frame)) if frame is not None else None,
            tuple((receiver, zlib.crc32(one)) for one in out), whole[:96], len(whole),
        )  # fmt: skip
        for link in self.evidence.links.values():
            link.entries.append(entry)
        return entry

    def talk(self) -> None:
        """A handshake and one segment of data, untouched."""
        self.pass_on(
            self.frame("client", "S", seq=100),
            self.frame("server", "S.", seq=300, ack=101),
            self.frame("client", ".", seq=101, ack=301),
            self.frame("client", "P.", seq=101, ack=301, length=100),
            self.frame("server", ".", seq=301, ack=201),
        )

    def found(
        self, vantage: str, name: str, *, frame: int = 1, kind: str = "", sender: str = "client",
        seq: int | None = None, length: int = 0,
    ) -> Finding:  # fmt: skip
        """A finding at a vantage, about a segment of the connection."""
        client, server = (self.address("client"), 40000), (self.address("server"), 105)
        flow = FlowKey(*client, *server) if sender == "client" else FlowKey(*server, *client)
        finding = Finding(
            name, LEVELS.get(name, "warning"), self.now_ns, frame, flow, "seen again", kind, seq, length
        )
        report = self.capture(vantage).report
        assert report is not None
        report.findings.append(finding)
        return finding

    # --- the end

    def judge(self) -> Verdict:
        for vantage, frames in self.frames.items():
            report = self.evidence.captures[vantage].report if vantage in self.evidence.captures else None
            if report is not None and report.frames == 0:
                report.frames = len(frames)
        return judge(self.case, self.plan, self.evidence, self.frames)


def text_of(verdict: Verdict) -> str:
    """All that it says, to look for words in."""
    lines = [verdict.outcome, verdict.reason, *verdict.discrepancies, *map(str, verdict.failures)]
    return "\n".join([*lines, *verdict.notes])


def head_of(frame: bytes) -> tuple[int, int]:
    """(sequence number, payload length) of a frame."""
    segment = decode(frame)
    return segment.seq, segment.payload_len
