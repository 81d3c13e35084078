"""What many connections come to, seen together: scans, floods, storms.

Fed by a connection's end (what became of it) and by the rare segments with a RST or a repeat. Memory is
bounded: counters for the hosts heard of last, `MOST_HOSTS` a table, and of each so many peers. An episode is
over when its host has been quiet for `QUIET_NS`; the rules (detectors/crowd.py) then judge it.
"""

from __future__ import annotations

from typing import NamedTuple

from tcpharness.analysis.finding import FlowKey
from tcpharness.analysis.signs import Sign
from tcpharness.analysis.state import Flow, Side, address_of
from tcpharness.packet.segment import ACK, FIN, PSH, RST, SYN, URG, Segment

SECOND_NS = 1_000_000_000
QUIET_NS = 60 * SECOND_NS
MOST_HOSTS, MOST_PEERS = 4096, 4096
SYN_ACK_AGAIN_NS = (
    2 * SECOND_NS
)  # without cookies a SYN-ACK has been sent again by then (RFC 6298 section 2: 1 s)
FEW_FRAMES = 3  # a probe is sent once, or a few times when nothing comes back
# What a probe without SYN is called, by its flags.
PROBES = {0: "null", FIN: "fin", FIN | PSH | URG: "xmas", ACK: "ack", FIN | ACK: "maimon"}
RESENT, RESET = int(Sign.AGAIN | Sign.NEEDLESS), int(Sign.RST)
WATCHED = RESENT | RESET
BY_TIMER = ("rto", "slow_start", "syn")

Host = tuple[int, int, int, int]  # IP version, address (two halves), port; port 0: the host as a whole


class Episode:
    """One kind of thing that one host did, or was done to it, without a longer pause."""

    __slots__ = (
        "answered", "connected", "count", "first_ns", "frame", "in_second", "key", "last_ns", "peak", "peers",
        "plain_syns", "productive", "repeated", "second_ns", "until_ns", "waited", "what",
    )  # fmt: skip

    def __init__(self, what: str, key: FlowKey, time_ns: int, frame: int) -> None:
        self.what = what  # "scan KIND", "flood", "backscatter", "reset", "resent"
        self.key = key  # of its first connection
        self.frame = frame
        self.first_ns = self.last_ns = self.second_ns = time_ns
        self.until_ns = 0  # how far the capture had come when it was judged
        self.count = self.in_second = 0
        self.peak = 0  # most in a second
        self.peers: set[Host] = set()
        self.answered = 0  # by a SYN-ACK, which was not acknowledged
        self.connected = 0  # handshakes that were completed
        self.productive = 0  # connections that carried data
        self.repeated = 0  # floods: SYN-ACKs that were sent again, as without cookies
        self.waited = 0  # floods: those that nobody took back before they could be sent again
        self.plain_syns = 0  # scans: SYNs without timestamps, which no kernel's connect() sends

    def add(self, time_ns: int, peer: Host) -> None:
        self.count += 1
        self.first_ns, self.last_ns = min(self.first_ns, time_ns), max(self.last_ns, time_ns)
        if 0 <= time_ns - self.second_ns < SECOND_NS:
            self.in_second += 1
        else:
            self.second_ns, self.in_second = time_ns, 1
        self.peak = max(self.peak, self.in_second)
        if len(self.peers) < MOST_PEERS:
            self.peers.add(peer)


class Event(NamedTuple):
    """What the crowd hears of a connection: it is over, or (`what`: "reset", "resent") something came by."""

    frame: int
    time_ns: int
    what: str
    source: Host  # who opened it, or sent the RST or the repeat
    target: Host  # the other one, with its port
    source_port: int = 0
    flags: int = 0  # of its first segment
    data: bool = False  # it carried some
    handshake: int = 0
    closed: str = ""
    timestamps: bool = False  # its SYN had them
    frames: tuple[int, int] = (0, 0)  # by the one who came first, and the other
    syns_back: int = 0
    reset_after_ns: int = -1  # from its first segment to its RST

    @property
    def key(self) -> FlowKey:
        """Whose it was, in words: only an episode's first one is asked."""
        version, high, low, port = self.target
        there = address_of(version, high, low)
        return FlowKey(address_of(*self.source[:3]), self.source_port, there, port)

    @property
    def source_with_port(self) -> Host:
        return (*self.source[:3], self.source_port)

    @property
    def target_host(self) -> Host:
        return (*self.target[:3], 0)


def of_segment(segment: Segment, this: Side, signs: int) -> Event | None:
    """A RST, or something sent again; before the segment changes its connection."""
    flow = this.flow
    if signs & RESET:
        # The answer to a probe is the scan's, not a storm's: only what ends a real connection counts.
        if flow.handshake != 3 and not flow.a.bytes and not flow.b.bytes:
            return None
        what = "reset"
    else:
        # Repairs within a busy stream are loss; a storm is where repeats are most of what there is.
        if this.trigger not in BY_TIMER and this.resent * 5 < this.frames:
            return None
        what = "resent"
    there = host_of(this.other, this_port(this.other))
    return Event(segment.frame, segment.time_ns, what, host_of(this, 0), there, this_port(this))


def of_flow(flow: Flow) -> Event:
    """A connection is over: what its first segment was, and what became of it."""
    flags, data = flow.first_flags & (FIN | SYN | RST | PSH | ACK | URG), bool(flow.a.bytes or flow.b.bytes)
    first = flow.opener or flow.a if data or flags == SYN else flow.a
    other = first.other
    return Event(
        flow.first_frame, flow.first_ns, "", host_of(first, 0), host_of(other, this_port(other)),
        this_port(first), flags, data, flow.handshake, flow.closed, bool(first.ts_ok),
        (flow.a.frames, flow.b.frames), other.syns,
        flow.last_ns - flow.first_ns if flow.closed == "reset" else -1,
    )  # fmt: skip


class Crowd:
    """All hosts under watch; `over` holds the episodes that nobody has taken yet."""

    __slots__ = ("episodes", "over")

    def __init__(self) -> None:
        self.episodes: dict[tuple[str, Host], Episode] = {}  # the one heard of last at the end
        self.over: list[Episode] = []

    # --- what comes in -------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        if event.what:
            # A storm's peers are connections, told apart by the port of the one who storms.
            peer = (*event.target[:3], event.source_port)
            self.add(event.what, event.source, peer, event)
        elif event.data:
            for key in (("scan syn", event.source), ("flood", event.target)):
                if key in self.episodes:
                    self.episodes[key].productive += 1
        elif event.flags == SYN:
            self.attempt(event)
        elif event.flags in (SYN | ACK, RST, RST | ACK):
            if not event.frames[1]:
                self.add("backscatter", event.source, event.target_host, event)
        elif event.flags in PROBES and event.frames[0] <= FEW_FRAMES:
            self.add(f"scan {PROBES[event.flags]}", event.source, event.target, event)

    def attempt(self, event: Event) -> None:
        """A SYN that came to nothing."""
        if event.handshake == 3 and event.closed == "closed":
            # Connected and closed in order: a health check is that, too.
            for key in (("scan syn", event.source), ("flood", event.target)):
                if key in self.episodes:
                    self.episodes[key].connected += 1
            return
        scan = self.add("scan syn", event.source, event.target, event)
        scan.plain_syns += not event.timestamps
        scan.answered += event.handshake == 2
        scan.connected += event.handshake == 3
        if event.closed != "refused" and event.handshake < 3:
            flood = self.add("flood", event.target, event.source_with_port, event)
            flood.answered += event.handshake == 2
            flood.repeated += event.syns_back > 1
            taken_back = 0 <= event.reset_after_ns < SYN_ACK_AGAIN_NS
            flood.waited += event.handshake == 2 and not taken_back
        elif ("flood", event.target) in self.episodes:
            self.episodes["flood", event.target].connected += 1

    def add(self, what: str, host: Host, peer: Host, event: Event) -> Episode:
        episode = self.episodes.pop((what, host), None)
        if episode is not None and event.time_ns - episode.last_ns > QUIET_NS:
            self.over.append(episode)
            episode = None
        if episode is None:
            episode = Episode(what, event.key, event.time_ns, event.frame)
            if len(self.episodes) >= MOST_HOSTS:
                self.over.append(self.episodes.pop(next(iter(self.episodes))))
        self.episodes[what, host] = episode
        episode.add(event.time_ns, peer)
        return episode

    # --- what comes out ------------------------------------------------------------------------

    def finish(self) -> None:
        """The capture is over, and with it every episode."""
        self.over += self.episodes.values()
        self.episodes = {}


def host_of(side: Side, port: int) -> Host:
    flow = side.flow
    if side is flow.a:
        return flow.version, flow.a_high, flow.a_low, port
    return flow.version, flow.b_high, flow.b_low, port


def this_port(side: Side) -> int:
    return side.flow.a_port if side is side.flow.a else side.flow.b_port
