"""What many connections come to, seen together: scans, floods, storms.

Fed by a connection's end (what became of it) and by the rare segments with a RST or a repeat. Memory is
bounded: counters for the hosts heard of last, `MOST_HOSTS` a table, and of each so many peers. An episode is
over when its host has been quiet for `QUIET_NS`; the rules (detectors/crowd.py) then judge it.
"""

from __future__ import annotations

from tcpharness.analysis.finding import FlowKey
from tcpharness.analysis.signs import Sign
from tcpharness.analysis.state import Flow, Side
from tcpharness.packet.segment import ACK, FIN, PSH, RST, SYN, URG, Segment

SECOND_NS = 1_000_000_000
QUIET_NS = 60 * SECOND_NS
MOST_HOSTS, MOST_PEERS = 4096, 4096
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
        "plain_syns", "productive", "repeated", "second_ns", "until_ns", "what",
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


class Crowd:
    """All hosts under watch; `over` holds the episodes that nobody has taken yet."""

    __slots__ = ("episodes", "over")

    def __init__(self) -> None:
        self.episodes: dict[tuple[str, Host], Episode] = {}  # the one heard of last at the end
        self.over: list[Episode] = []

    # --- what comes in -------------------------------------------------------------------------

    def see(self, segment: Segment, this: Side, signs: int) -> None:
        """A RST, or something sent again; before the segment changes its connection."""
        flow = this.flow
        if signs & RESET:
            # The answer to a probe is the scan's, not a storm's: only what ends a real connection counts.
            if flow.handshake == 3 or flow.a.bytes or flow.b.bytes:
                self.note("reset", host_of(this, 0), host_of(this.other, this_port(this)), segment, this)
        elif this.trigger in BY_TIMER or this.resent * 5 >= this.frames:
            # Repairs within a busy stream are loss; a storm is where repeats are most of what there is.
            self.note("resent", host_of(this, 0), host_of(this.other, this_port(this)), segment, this)

    def ended(self, flow: Flow) -> None:
        """A connection is over: what its first segment was, and what became of it."""
        opener = flow.opener or flow.a
        flags = flow.first_flags & (FIN | SYN | RST | PSH | ACK | URG)
        source, target = host_of(opener, 0), host_of(opener.other, this_port(opener.other))
        if flow.a.bytes or flow.b.bytes:
            for key in (("scan syn", source), ("flood", target)):
                if key in self.episodes:
                    self.episodes[key].productive += 1
                    self.episodes[key].connected += 1
        elif flags == SYN:
            self.attempt(flow, opener, source, target)
        elif flags in (SYN | ACK, RST, RST | ACK):
            if not flow.a.other.frames:
                self.take("backscatter", host_of(flow.a, 0), host_of(flow.b, 0), flow, flow.a)
        elif flags in PROBES and flow.a.frames <= FEW_FRAMES:
            self.take(f"scan {PROBES[flags]}", source, target, flow, flow.a)

    def attempt(self, flow: Flow, opener: Side, source: Host, target: Host) -> None:
        """A SYN that came to nothing."""
        if flow.handshake == 3 and flow.closed == "closed":
            # Connected and closed in order: a health check is that, too.
            for key in (("scan syn", source), ("flood", target)):
                if key in self.episodes:
                    self.episodes[key].connected += 1
            return
        scan = self.take("scan syn", source, target, flow, opener)
        scan.plain_syns += not opener.ts_ok
        scan.answered += flow.handshake == 2
        scan.connected += flow.handshake == 3
        if flow.closed != "refused" and flow.handshake < 3:
            flood = self.take("flood", target, host_of(opener, this_port(opener)), flow, opener)
            flood.answered += flow.handshake == 2
            flood.repeated += opener.other.syns > 1
        elif ("flood", target) in self.episodes:
            self.episodes["flood", target].connected += 1

    def take(self, what: str, host: Host, peer: Host, flow: Flow, side: Side) -> Episode:
        return self.add(what, host, peer, flow.first_ns, flow.first_frame, side)

    def note(self, what: str, host: Host, peer: Host, segment: Segment, side: Side) -> Episode:
        return self.add(what, host, peer, segment.time_ns, segment.frame, side)

    def add(self, what: str, host: Host, peer: Host, time_ns: int, frame: int, side: Side) -> Episode:
        episode = self.episodes.pop((what, host), None)
        if episode is not None and time_ns - episode.last_ns > QUIET_NS:
            self.over.append(episode)
            episode = None
        if episode is None:
            episode = Episode(what, side.key, time_ns, frame)
            if len(self.episodes) >= MOST_HOSTS:
                self.over.append(self.episodes.pop(next(iter(self.episodes))))
        self.episodes[what, host] = episode
        episode.add(time_ns, peer)
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
