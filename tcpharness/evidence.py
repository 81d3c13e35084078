"""What a run brings home: plain data that the edge writes and the verdict reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tcpharness.analysis.finding import CaptureReport
from tcpharness.fault.ledger import Entry
from tcpharness.peer.mismatch import Mismatch
from tcpharness.record.finding import MonitorFinding


@dataclass(slots=True)
class ConnectionOutcome:
    """How one connection of an endpoint went."""

    sent_bytes: int = 0
    received_bytes: int = 0
    expected_bytes: int | None = None  # what the other side's steps send in all; None: not known
    error: str | None = None  # ECONNRESET, or "mismatch" when a payload byte was wrong
    error_step: str | None = None  # the step it happened in, as "receive (scenarios/x.yaml:12:30)"
    error_text: str | None = None
    local: tuple[str, int] | None = None
    remote: tuple[str, int] | None = None
    opened_ns: int | None = None  # monotonic
    first_byte_ns: int | None = None
    first_bytes: int = 0  # how many of them had come by first_byte_ns, or were handed over then
    last_byte_ns: int | None = None
    closed_ns: int | None = None
    tcp_info: dict[str, int] = field(default_factory=dict)  # TCP_INFO just before it was closed
    mismatch: Mismatch | None = None  # of a script


@dataclass(slots=True)
class EndpointOutcome:
    """What an endpoint did and how it ended."""

    name: str
    host: str
    kind: str
    connections: list[ConnectionOutcome] = field(default_factory=list)
    error: str | None = None  # of the endpoint as a whole: EADDRINUSE, "exited before ready", ...
    error_text: str | None = None
    unfinished: str | None = None  # what it was waiting for when the deadline passed
    exit_status: int | None = None  # run
    ended_by_us: bool = False  # run: a server program that was told to end, so its exit status says nothing
    output: str = ""  # run: stdout and stderr as they came, bounded
    took: dict[str, int] = field(default_factory=dict)  # script: branch of an `any of` -> how often

    @property
    def sent_bytes(self) -> int:
        return sum(c.sent_bytes for c in self.connections)

    @property
    def received_bytes(self) -> int:
        return sum(c.received_bytes for c in self.connections)

    def errors(self) -> list[str]:
        own = [self.error] if self.error else []
        return own + [c.error for c in self.connections if c.error]


@dataclass(slots=True)
class CaptureOutcome:
    """One tcpdump: its file, its closing figures, and whether it saw everything."""

    vantage: str
    host: str
    interface: str
    file: str  # the pcap; for a text-mode capture its output
    filter: str | None = None
    snaplen: int | None = None
    captured: int | None = None
    received: int | None = None
    dropped: int | None = None
    marker_seen: bool = False
    far_marker: str | None = None  # both addresses of the marker that came by the link, in hex
    ended_by_count: bool = False
    late: bool = False  # an event has started it
    text: bool = False
    error: str | None = None
    report: CaptureReport | None = None
    has_canary: bool = False  # one was sent there, and nothing keeps it out of the file
    canary: list[bytes] = field(
        default_factory=list
    )  # its frames, as they were captured; not in the file any more
    heard: frozenset[str] = frozenset()  # what our detectors report of them

    def complete(self) -> bool:
        """True when every frame of the interface is in the file, whole."""
        restricted = self.filter or self.snaplen or self.text or self.ended_by_count or self.late
        return self.marker_seen and not restricted and self.dropped == 0 and self.error is None


@dataclass(slots=True)
class LinkOutcome:
    """One link with a middlebox: its ledger, and how often each fault fired."""

    link: str
    entries: list[Entry] = field(default_factory=list)
    fired: dict[str, int] = field(default_factory=dict)
    error: str | None = None

    def impaired(self) -> dict[str, dict[str, int]]:
        """Sending host -> act -> how many of its frames."""
        found: dict[str, dict[str, int]] = {}
        for entry in self.entries:
            for act in entry.acts:
                of_host = found.setdefault(entry.came_in[0] if entry.came_in else "", {})
                of_host[act] = of_host.get(act, 0) + 1
        return found


@dataclass(frozen=True, slots=True)
class SocketSample:
    """A TCP socket at one moment, as `ss` would show it. What the kernel does not tell is not in `info`."""

    time_ns: int  # CLOCK_REALTIME
    state: str  # ESTABLISHED, ...; ENDED: its last words, sent by the kernel as it went
    recv_q: int  # bytes that wait for the program; of a listener: connections that do
    send_q: int  # bytes not acknowledged yet; of a listener: its backlog
    timer: str  # "", "retransmit", "keepalive", "timewait" or "probe"
    expires_ms: int
    retrans: int  # timeouts in a row
    info: dict[str, int]  # TCP_INFO (lab/tcp_info.py); empty for TIME_WAIT


@dataclass(slots=True)
class SocketHistory:
    """A TCP socket from the first time that it was seen to the last."""

    host: str
    local: tuple[str, int]
    remote: tuple[str, int]
    uid: int
    congestion: str = ""
    pid: int | None = None  # of the process that holds it, as `ps` on this machine shows it; None: not known
    program: str | None = None  # its name
    endpoint: str | None = None  # of the scenario, when it is one's
    samples: list[SocketSample] = field(default_factory=list)

    @property
    def listens(self) -> bool:
        return any(sample.state == "LISTEN" for sample in self.samples)

    def __str__(self) -> str:
        ends = f"{self.local[0]}.{self.local[1]} > {self.remote[0]}.{self.remote[1]}"
        owner = self.endpoint or self.program
        return f"{ends} ({owner})" if owner else ends


@dataclass(slots=True)
class Sampling:
    """How closely the sockets were watched."""

    interval_ns: int = 0  # as asked for
    effective_ns: int = 0  # the mean, when asking costs more than may be spent on it
    samples: int = 0
    cpu_ns: int = 0  # that asking took
    duration_ns: int = 0
    end_ns: int = 0  # when all had come to rest, CLOCK_REALTIME
    notes: list[str] = field(default_factory=list)  # what could not be seen, and why
    unseen: dict[str, str] = field(default_factory=dict)  # host -> why its sockets were not always looked at
    unheard: dict[str, str] = field(default_factory=dict)  # host -> why not the end of every one is known


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One of the kernel's tracepoints. Ends are ("", 0) where nothing told whose it was."""

    time_ns: int  # CLOCK_REALTIME
    name: str  # tcp_retransmit_skb, kfree_skb, ...
    here: tuple[str, int]  # the end at whose host it happened
    there: tuple[str, int]
    reason: str = ""  # of kfree_skb and tcp_send_reset
    err: int = 0  # of tcp_retransmit_skb: why it could not be sent


@dataclass(slots=True)
class Trace:
    """What the kernel's tracepoints told of a case's flows."""

    refused: str | None = None  # why there was no tracing
    traced: list[str] = field(default_factory=list)  # the tracepoints that were on
    events: list[TraceEvent] = field(default_factory=list)
    lost: int = 0  # while the case was watched, whoever's they were; and what was too much to keep
    shared: bool = False  # another case had the same addresses
    notes: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return self.refused is None and not self.lost and not self.shared


@dataclass(frozen=True, slots=True)
class Event:
    """Something was done to the lab."""

    name: str  # the fault's
    time_ns: int  # CLOCK_REALTIME
    hosts: tuple[str, ...]  # that are not any more what they were planned to be


@dataclass(slots=True)
class MonitorOutcome:
    """One monitor at one vantage, in one run: what it said, and whether it could."""

    monitor: str
    vantage: str
    host: str
    interface: str
    version: str = ""
    command: str = ""  # as it was run
    findings: list[MonitorFinding] = field(default_factory=list)
    records: int = 0  # that it wrote
    lacking: str | None = None  # what this machine hasn't got, so that it was not run
    error: str | None = None  # why what it said can't be relied on, with its own last words
    status: int | None = None
    started_ns: int | None = None  # CLOCK_REALTIME; live: when it said that it was ready
    duration_ns: int = 0
    directory: str = ""  # its own, with all that it wrote
    was_asked: bool = False  # a canary was in what it read: what it is silent about it must have heard there
    heard: frozenset[str] = frozenset()  # the canary's conditions that it has reported; not in `findings`
    could_hear: frozenset[str] = frozenset()  # those for which its description has a word
    of_canary: frozenset[str] = frozenset()  # what it has said of the canary, in our words and its own
    no_canary: str | None = None  # why the canary itself could not be had

    def __str__(self) -> str:
        return f"{self.monitor} at {self.vantage}"


@dataclass(slots=True)
class Evidence:
    """All witnesses of one case."""

    endpoints: dict[str, EndpointOutcome] = field(default_factory=dict)
    captures: dict[str, CaptureOutcome] = field(default_factory=dict)  # by vantage
    links: dict[str, LinkOutcome] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)  # host -> name -> difference
    sockets: list[SocketHistory] = field(default_factory=list)
    sampling: Sampling | None = None  # None: nobody watched the sockets
    trace: Trace | None = None  # None: nobody asked
    # host -> sysctl, routes, offload, firewall and more, as they were at the end
    environment: dict[str, dict[str, Any]] = field(default_factory=dict)
    loopback: dict[str, int] = field(default_factory=dict)  # host -> packets on its lo
    in_order: bool = True  # nothing but a middlebox can change the order of frames on a link
    unsettled: list[str] = field(default_factory=list)  # sockets that had not come to rest, as "host: ..."
    problems: list[str] = field(default_factory=list)  # deadlines, a killed tcpdump, ...
    events: list[Event] = field(default_factory=list)  # in order
    monitors: list[MonitorOutcome] = field(default_factory=list)  # by monitor, then vantage
    waits: dict[str, str] = field(default_factory=dict)  # event -> why it never happened


@dataclass(slots=True)
class HostSettings:
    """A machine's own settings, as far as they could be read."""

    sysctl: dict[str, str] = field(default_factory=dict)
    routes: list[str] = field(default_factory=list)
    offload: dict[str, dict[str, bool]] = field(default_factory=dict)  # interface -> feature -> on
    mtu: dict[str, int] = field(default_factory=dict)
    firewall: list[dict[str, str | int]] = field(default_factory=list)  # rule, packets, bytes
    notes: list[str] = field(default_factory=list)  # what could not be read, and why
