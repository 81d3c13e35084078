"""The language as types: what a scenario file says, after loading.

Everything here is plain data, frozen, and carries `at`, the place in the YAML that a message
about it should point to. Absent means default: a field of `SegmentSpec` that is None matches
anything and is filled in when a segment is crafted.

Times are integer nanoseconds, sizes are bytes, rates are bits per second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tcpharness.packet.line import Line
from tcpharness.packet.spec import SegmentSpec
from tcpharness.scenario.event import Change
from tcpharness.scenario.impairment import Impairment
from tcpharness.scenario.monitor import MonitorExpect, MonitorUse
from tcpharness.scenario.place import Place as Place  # part of the model; by itself because it is light


@dataclass(frozen=True, slots=True)
class Count:
    """How many are wanted: `3`, `"3.."`, `"..2"`, `"1..4"`; also a range of bytes or bits per second."""

    low: int
    high: int | None
    written: str

    def holds(self, number: int) -> bool:
        return self.low <= number and (self.high is None or number <= self.high)

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a host: `to` a network (CIDR, "default" or a host's name) `via` a host or address."""

    to: str
    via: str | None
    # Names as iproute2 spells them: rto_min (ns), mtu, advmss, window, initcwnd, initrwnd,
    # rtt, rttvar, ssthresh, cwnd, quickack, hoplimit, reordering, features (ecn), cc_algo.
    metrics: dict[str, int | str]
    at: Place


@dataclass(frozen=True, slots=True)
class Firewall:
    """An nftables input filter: a default policy, and ports that differ from it."""

    policy: Literal["accept", "drop", "reject"]
    open: tuple[int, ...]
    closed: tuple[int, ...]  # answered by RST
    filtered: tuple[int, ...]  # dropped without a word
    at: Place
    strict: tuple[int, ...] = ()  # of all these: also in the middle of a connection


@dataclass(frozen=True, slots=True)
class Host:
    name: str
    sysctl: dict[str, str]
    sysctl_at: dict[str, Place]
    offload: bool
    forward: bool | None  # None: on when the host has several links
    routes: tuple[Route, ...]
    firewall: Firewall | None
    at: Place


DEFAULT_MTU = 1500  # of a link that says nothing


@dataclass(frozen=True, slots=True)
class Link:
    """A veth pair between two hosts, or a bridge that joins several."""

    name: str  # as written, or the hosts' names joined by "-"
    hosts: tuple[str, ...]
    mtu: int | None
    addresses: dict[str, str]  # host -> "192.0.2.1/24"; empty: given by the plan
    delay_ns: int  # a steady one-way delay of those directions that have no impairments
    at: Place
    impairments: tuple[tuple[str, Impairment], ...] = ()  # sending host -> all that is done in that direction


@dataclass(frozen=True, slots=True)
class Until:
    """A condition to wait for: an endpoint's state, or a fault that has fired."""

    subject: str  # endpoint or fault name
    state: Literal["blocked", "established", "closed", "done", "listening", "fired"]
    at: Place


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """None leaves the kernel's default. Times in nanoseconds, sizes in bytes."""

    rcvbuf: int | None = None
    sndbuf: int | None = None
    nodelay: bool | None = None
    quickack: bool | None = None
    keepalive: tuple[int, int, int] | None = None  # idle_ns, interval_ns, count; 0: the system's
    user_timeout_ns: int | None = None
    mss: int | None = None
    congestion: str | None = None
    linger_ns: int | None = None
    ttl: int | None = None
    tos: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing an endpoint does, in order. Which of the fields count is given by `do`.

    send:    size (seeded bytes), or text, or file
    receive: size, or text, or (none of them) until end of file
    pause:   wait_ns, or until
    set:     options
    shutdown (sends FIN, keeps reading), close, abort (RST)
    """

    do: Literal["send", "receive", "pause", "shutdown", "close", "abort", "set"]
    at: Place
    size: int | None = None
    text: bytes | None = None
    file: str | None = None
    wait_ns: int | None = None
    until: Until | None = None
    options: SocketOptions | None = None


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One step of a peer without a kernel. Which of the fields count is given by `do`.

    send:    line, after_ns (since the step before), times (exactly so many)
    expect:  line, within_ns, times (the least is waited for; more, up to the most, may come at any time)
    silence: within_ns: nothing comes for so long
    any_of:  branches (name or number -> steps), within_ns
    pause:   after_ns, or until
    """

    do: Literal["send", "expect", "silence", "any_of", "pause"]
    at: Place
    line: Line | None = None
    after_ns: int = 0
    within_ns: int = 0
    times: Count = Count(1, 1, "1")
    branches: tuple[tuple[str, tuple[ScriptStep, ...]], ...] = ()
    until: Until | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a client connects: an endpoint's name, or a host (or literal address) and port."""

    endpoint: str | None
    host: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    name: str
    on: str
    kind: Literal["listen", "connect", "run", "script"]
    at: Place
    port: int | None = None  # listen; for run: the port that shows it is ready (`ready: 80`)
    target: Target | None = None
    command: tuple[str, ...] = ()  # run: argv; a string in YAML is given to /bin/sh -c
    from_port: int | None = None  # connect: the source port
    backlog: int = 128  # listen
    times: int = 1  # connections to make (connect) or to serve (listen)
    options: SocketOptions = field(default_factory=SocketOptions)  # before connect or listen
    steps: tuple[Step, ...] = ()
    process: bool = False  # in a process of its own, so that it can be killed
    script: tuple[ScriptStep, ...] = ()  # of kind script, which has a port (a server) or a target
    ports: tuple[int, ...] = ()  # script: each of these ports of the target
    addresses: int = 1  # script: from so many addresses
    every_ns: int = 0  # script: between the starts of two conversations


State = Literal["syn_sent", "syn_received", "established", "closing", "closed"]


@dataclass(frozen=True, slots=True)
class Match:
    """Which frame a fault means. Counted per flow and direction (`from` names the sending host).

    `data: n` and `byte: n` name the segment that first carries the nth new payload segment (or the
    nth byte of the stream, from 1), and every later transmission of it. `nth` counts the frames
    that satisfy everything else. `times` bounds how often the fault fires per flow.
    """

    at: Place
    sender: str | None = None
    receiver: str | None = None
    flow: str | None = None  # name of a connect endpoint: only its connections
    flags: str | None = None  # "S." exactly, in tcpdump's letters
    flags_has: str | None = None  # "has R": at least these
    nth: int | None = None
    data: int | None = None
    byte: int | None = None
    contains: bytes | None = None
    retransmitted: bool | None = None
    payload_len: Count | None = None  # `len`
    fields: SegmentSpec = field(default_factory=SegmentSpec)
    after: str | None = None  # a fault that has fired
    time_ns: int | None = None  # this long after the traffic's start
    state: State | None = None
    times: int | None = 1  # None: every time
    endpoint: str | None = None  # that is
    endpoint_state: str | None = None  # so
    wait_ns: int = 0  # events: after all else is so


@dataclass(frozen=True, slots=True)
class Action:
    """What is done with a matched frame.

    drop; delay (delay_ns); duplicate (copies more, default 1); hold (until `segments` later frames
    of that flow and direction have passed); corrupt (what: "tcp" or "ip" checksum, or byte and bit
    of the payload; fix: recompute the checksum); set (fields, checksum fixed unless fix is False;
    strip: options to take out); split and fragment (cut_at: bytes of payload, or behind the IP header,
    in the first piece; overlap: bytes in both; swapped: the second goes first); inject (fields, to,
    sender); kill (endpoint, signal). All others change the lab: `change` says what.
    """

    do: Literal[
        "drop", "delay", "duplicate", "hold", "corrupt", "set", "split", "fragment", "inject", "kill", "lab"
    ]
    at: Place
    delay_ns: int = 0
    copies: int = 1
    segments: int = 0
    what: Literal["tcp", "ip", "payload"] | None = None
    byte: int | None = None
    bit: int = 0
    fix: bool = True
    fields: SegmentSpec = field(default_factory=SegmentSpec)
    strip: tuple[str, ...] = ()
    cut_at: int = 0
    overlap: int = 0
    swapped: bool = False
    sender: str | None = None
    receiver: str | None = None
    seq: str | None = None  # inject: next, rcv_nxt, in_window, out_of_window, "next+10", or a number
    ack: str | None = None
    payload: bytes = b""
    endpoint: str | None = None
    signal: str = "KILL"
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """`link` is empty of an event: it waits for no frame, and changes only the lab."""

    name: str  # as written, or "fault 1", in order
    link: str  # resolved: the only link, or the one named
    when: Match
    do: tuple[Action, ...]
    at: Place

    @property
    def is_event(self) -> bool:
        return not self.link

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(action.change for action in self.do if action.change is not None)


@dataclass(frozen=True, slots=True)
class Capture:
    """How tcpdump is run at a vantage."""

    vantage: str
    at: Place
    filter: str | None = None
    snaplen: int | None = None
    buffer_kib: int | None = None  # -B
    count: int | None = None  # -c
    names: bool = False  # True: names are looked up (no -n), in a text-mode capture
    text: bool = False  # print packets instead of writing them raw
    stall: Until | None = None  # stopped (SIGSTOP) from the start of traffic until this holds
    off: bool = False  # nothing is captured here


@dataclass(frozen=True, slots=True)
class FindingExpect:
    """One line under `expect.findings.<vantage>`."""

    name: str
    count: Count
    at: Place
    kind: str | None = None
    of: str | None = None  # a fault's name: the finding concerns the segment that it named
    before: str | None = None  # another finding's name at this vantage
    after: str | None = None


@dataclass(frozen=True, slots=True)
class VantageExpect:
    """What is to be found at one vantage; naming a vantage makes it two-sided."""

    vantage: str  # "client", "router.eth1", "server.lo", or "any"
    at: Place
    findings: tuple[FindingExpect, ...] = ()
    one_of: tuple[tuple[FindingExpect, ...], ...] = ()  # alternatives, one of which must hold


@dataclass(frozen=True, slots=True)
class EndpointExpect:
    name: str
    at: Place
    error: tuple[str, ...] | None = None  # names allowed; ("none",) for none; None: as its steps say
    sent: Count | None = None
    received: Count | None = None
    throughput: Count | None = None  # bits per second, of the payload received (or sent)
    duration: Count | None = None  # nanoseconds from the first connection's opening to the last one's end
    exit: Count | None = None  # run: exit status
    output: tuple[str, ...] = ()  # run: texts that its output must contain
    took: tuple[tuple[str, Count], ...] = ()  # script: how many conversations took which alternative


@dataclass(frozen=True, slots=True)
class CounterExpect:
    host: str
    counter: str  # as nstat prints it: TcpRetransSegs, TcpExtTCPTimeouts (or TCPTimeouts)
    count: Count
    at: Place


@dataclass(frozen=True, slots=True)
class FaultExpect:
    fault: str
    count: Count
    at: Place


@dataclass(frozen=True, slots=True)
class SocketExpect:
    """What some of a host's TCP sockets show at a moment. None: don't care."""

    at: Place
    count: Count  # sockets that satisfy everything
    moment: Literal["end", "any"] | None = None  # None with `after` None: the last known of each
    after: str | None = None  # a fault: the first look after it had fired
    state: str | None = None  # lower case
    endpoint: str | None = None
    port: int | None = None  # local or remote
    program: str | None = None
    congestion: str | None = None
    timer: str | None = None  # "none" when none runs
    values: tuple[tuple[str, Count], ...] = ()  # in nanoseconds, bytes, bits per second


@dataclass(frozen=True, slots=True)
class PortExpect:
    port: int
    owner: str  # an endpoint's or a program's name, or "any"
    at: Place


@dataclass(frozen=True, slots=True)
class HostPorts:
    """The ports of a host that listen: these, and no others."""

    host: str
    at: Place
    ports: tuple[PortExpect, ...]


@dataclass(frozen=True, slots=True)
class SettingExpect:
    """One thing that `sysctl`, `ip route`, `ethtool -k` or `nft list` would show of a host."""

    host: str
    kind: Literal["sysctl", "route", "offload", "firewall"]
    what: str  # a setting; words of a route or of a rule; "eth0 tcp-segmentation-offload"
    wanted: str | Count | None  # a value; packets that a rule has counted; None of a route
    at: Place


@dataclass(frozen=True, slots=True)
class ImpairedExpect:
    """How many of the frames that a host sent met with this on their links."""

    host: str
    act: str
    count: Count
    at: Place


@dataclass(frozen=True, slots=True)
class TraceExpect:
    host: str
    name: str  # a tracepoint: tcp_retransmit_skb, kfree_skb, ...
    count: Count
    at: Place
    reason: str | None = None  # of kfree_skb and tcp_send_reset, as the kernel prints it


@dataclass(frozen=True, slots=True)
class Expect:
    at: Place
    findings: tuple[VantageExpect, ...] = ()
    endpoints: tuple[EndpointExpect, ...] = ()
    counters: tuple[CounterExpect, ...] = ()
    sockets: tuple[tuple[str, SocketExpect], ...] = ()  # (host, what)
    ports: tuple[HostPorts, ...] = ()
    settings: tuple[SettingExpect, ...] = ()
    impairments: tuple[ImpairedExpect, ...] = ()
    tracepoints: tuple[TraceExpect, ...] = ()
    monitors: tuple[MonitorExpect, ...] = ()
    faults: tuple[FaultExpect, ...] = ()  # a fault not listed must have fired at least once
    # vantage -> captured, received, dropped
    capture: dict[str, dict[str, Count]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requires:
    """What the machine must have, or the case is skipped, naming it."""

    programs: tuple[str, ...] = ()
    sysctls: tuple[str, ...] = ()
    root: bool = False
    at: Place | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One run of a scenario file: its matrix resolved, ready to be planned and built."""

    name: str  # the scenario's title
    id: str  # "scenarios/handshake/open.yaml[ip=6]"
    file: str
    about: str
    tags: tuple[str, ...]
    values: dict[str, str]  # the matrix values of this case
    ip: Literal[4, 6]
    seed: int | None  # as written; the runner draws one otherwise
    timeout_ns: int
    kernel_timing: bool  # `timing: kernel`
    requires: Requires
    hosts: tuple[Host, ...]
    links: tuple[Link, ...]
    endpoints: tuple[Endpoint, ...]
    faults: tuple[Fault, ...]
    captures: tuple[Capture, ...]
    expect: Expect
    at: Place
    fast: bool = False  # `time: fast`
    monitors: tuple[MonitorUse, ...] = ()
