"""A connection in virtual time: segments written by hand go through an engine, and come out as text.

    talk = Talk("{when: {from: client, data: 2}, do: drop}")
    talk.opens()
    talk.client("P. 1 abc")   ->  what goes out: ["server P. 1 abc"]

A line is: flags, the sequence number relative to the ISN, `ack` and the payload. What goes out is
given in the same words, with the host it goes to in front.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tcpharness.fault.craft import build_template
from tcpharness.fault.engine import Engine, Port, Send
from tcpharness.packet.address import address_bytes
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.segment import SYN, Segment, decode, flags_text, flags_value
from tcpharness.scenario.load import load
from tcpharness.scenario.model import Case

SCENARIO = """
scenario: test
ip: {ip}
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {{on: server, listen: 105, process: true}}
  client: {{on: client, connect: server}}
faults: [{faults}]
expect: {{findings: {{client: {{}}}}}}
"""
ADDRESSES = {4: {"client": "10.0.0.1", "server": "10.0.0.2"}, 6: {"client": "fd00::1", "server": "fd00::2"}}
HOSTS = ("client", "server")
MACS = {"client": b"\x02\0\0\0\0\x01", "server": b"\x02\0\0\0\0\x02"}
ISN = {"client": 1000, "server": 9000}
SYN_OPTIONS = bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 030307".replace(" ", ""))
MS = 1_000_000


def case_of(faults: str, ip: int = 4) -> Case:
    return load(SCENARIO.format(ip=ip, faults=faults), "test.yaml")[0]


@dataclass
class Talk:
    """One connection, or several by `sport`, through one engine."""

    faults: str
    ip: int = 4
    delay_ns: int = 0
    isn: dict[str, int] = field(default_factory=lambda: dict(ISN))
    now_ns: int = 0
    result: list[Send] = field(default_factory=list)

    def __post_init__(self) -> None:
        case = case_of(self.faults, self.ip)
        templates = {
            (fault.name, index): {version: build_template(action, version) for version in (4, 6)}
            for fault in case.faults
            for index, action in enumerate(fault.do)
            if action.do == "inject"
        }
        ports = [Port(host, MACS[host], address_bytes(ADDRESSES[self.ip][host])) for host in HOSTS]
        self.engine = Engine(case.faults, ports, delay_ns=self.delay_ns, templates=templates)
        self.acked = {"client": 0, "server": 0}

    def opens(self) -> None:
        """The three-way handshake; what faults do to it is forgotten."""
        self.client("S 0", options=SYN_OPTIONS)
        self.server("S. 0", options=SYN_OPTIONS)
        self.client(". 1")

    def client(self, line: str, **fields: object) -> list[str]:
        return self.texts(self.frame("client", line, **fields))

    def server(self, line: str, **fields: object) -> list[str]:
        return self.texts(self.frame("server", line, **fields))

    def frame(self, sender: str, line: str, **fields: object) -> list[Send]:
        """Sends one segment through; the raw result."""
        self.now_ns += MS
        receiver = "server" if sender == "client" else "client"
        data = self.segment(sender, receiver, line, **fields)
        return list(self.engine.frame(self.now_ns, HOSTS.index(sender), data))

    def segment(self, sender: str, receiver: str, line: str, **fields: object) -> bytes:
        flags, seq, *rest = line.split(" ", 2)
        payload = rest[0].encode() if rest else b""
        value = flags_value(flags)
        own = self.isn[sender]
        ack = self.isn[receiver] + max(1, self.acked[sender]) if "." in flags else 0
        asked: dict[str, object] = {"win": 500, "ttl": 64, "id": 7, "sport": 40000} | fields
        sport = int(str(asked.pop("sport")))
        ports = (sport, 105) if sender == "client" else (105, sport)
        addresses = ADDRESSES[self.ip]
        frame = Frame(
            addresses[sender],
            addresses[receiver],
            *ports,
            seq=own + int(seq),
            ack=ack,
            flags=value,
            payload=payload,
            **asked,  # type: ignore[arg-type]
        )
        data = encode(frame)
        return MACS[receiver] + MACS[sender] + data[12:]

    def due(self, after_ns: int) -> list[str]:
        """What goes out in the next while."""
        self.now_ns += after_ns
        return self.texts(self.engine.due(self.now_ns))

    def texts(self, sends: list[Send]) -> list[str]:
        return [f"{HOSTS[port]} {self.text(data)}" for port, data in sends]

    def text(self, data: bytes) -> str:
        s = decode(data)
        side = "client" if s.src == ADDRESSES[self.ip]["client"] else "server"
        seq = (s.seq - self.isn[side]) % (1 << 32)
        return f"{flags_text(s.flags)} {seq} {s.payload.decode()}".rstrip()

    def only(self, sends: list[Send]) -> Segment:
        """The one segment that went out, decoded."""
        ((_, data),) = sends
        return decode(data)


__all__ = ["MS", "SYN", "SYN_OPTIONS", "Talk", "case_of"]
