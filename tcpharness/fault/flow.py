"""What the middlebox knows of each connection: positions in both streams, windows, how far it has come.

Stream positions count payload bytes from 0 and don't wrap; sequence numbers do (RFC 9293 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tcpharness.fault.frame import Seen, option
from tcpharness.packet.segment import ACK, FIN, RST, SYN, seq_add, seq_diff, seq_lt
from tcpharness.scenario.model import State


@dataclass(slots=True)
class Direction:
    """One side's sending, as seen in the middle."""

    host: str  # whose interface its frames come from
    base: int | None = None  # sequence number of the first payload byte
    position: int = 0  # stream position behind the highest payload byte seen
    snd_nxt: int | None = None  # behind the highest sequence number seen, SYN and FIN counted
    rcv_nxt: int | None = None  # the last acknowledgement number sent
    win: int = 0
    wscale: int = 0
    ttl: int = 64
    tos: int = 0
    tsval: int | None = None
    segments: int = 0  # with new payload
    starts: dict[int, int] = field(default_factory=dict)  # number of a new segment -> its stream position
    template: Seen | None = None  # the last segment seen: addresses, ports, MACs
    fin_seen: bool = False

    def window(self) -> int:
        return self.win << self.wscale


@dataclass(slots=True)
class Flow:
    """A connection; `client` sent the first frame seen."""

    client: Direction
    server: Direction
    key: tuple[bytes, int, bytes, int]
    state: State = "syn_sent"
    counts: dict[tuple[str, str], int] = field(
        default_factory=dict
    )  # (fault, host) -> frames that matched but for nth
    fired: dict[str, int] = field(default_factory=dict)  # fault -> times

    def of(self, seen: Seen) -> tuple[Direction, Direction]:
        """The sender's direction, and the other."""
        forward = (seen.src, seen.sport) == self.key[:2]
        return (self.client, self.server) if forward else (self.server, self.client)


@dataclass(slots=True)
class Place:
    """Where a segment's payload lies in its stream, and whether it is new."""

    start: int  # stream position of its first payload byte
    number: int | None  # it is the nth segment with new payload
    again: bool  # some of its bytes (or its SYN or FIN) were seen before


def place(direction: Direction, seen: Seen) -> Place:
    """Asks only; `advance` tells."""
    if direction.base is None or seen.flags & SYN:
        again = (
            direction.snd_nxt is not None
            and bool(seen.flags & SYN)
            and direction.base == seq_add(seen.seq, 1)
        )
        return Place(0, 1 if seen.payload_len else None, again)
    start = direction.position + seq_diff(seen.seq, seq_add(direction.base, direction.position))
    new = seen.payload_len > 0 and start + seen.payload_len > direction.position
    counted = seen.payload_len > 0 or bool(seen.flags & FIN)
    assert direction.snd_nxt is not None
    again = counted and seq_lt(seen.seq, direction.snd_nxt)
    return Place(start, direction.segments + 1 if new else None, again)


def advance(flow: Flow, seen: Seen, where: Place) -> None:
    """The segment has passed: positions, windows and the state move on."""
    mine, other = flow.of(seen)
    mine.template = seen
    mine.ttl = seen.data[seen.ip + 8] if seen.version == 4 else seen.data[seen.ip + 7]
    mine.tos = (
        seen.data[seen.ip + 1]
        if seen.version == 4
        else (seen.data[seen.ip] & 15) << 4 | seen.data[seen.ip + 1] >> 4
    )
    if mine.base is None:
        mine.base = seq_add(seen.seq, 1 if seen.flags & SYN else 0)
    if where.number is not None:
        mine.segments = where.number
        mine.starts[where.number] = max(where.start, mine.position)
        mine.position = max(mine.position, where.start + seen.payload_len)
    end = seq_add(seen.seq, seen.payload_len + bool(seen.flags & SYN) + bool(seen.flags & FIN))
    if not seen.flags & RST and (mine.snd_nxt is None or seq_lt(mine.snd_nxt, end)):
        mine.snd_nxt = end
    if seen.flags & ACK:
        mine.rcv_nxt = seen.ack
        if not seen.flags & (SYN | RST):
            mine.win = seen.win
    if seen.flags & SYN:
        take_syn(mine, seen)
    flow.state = next_state(flow, mine, other, seen)


def take_syn(mine: Direction, seen: Seen) -> None:
    scale = option(seen.options, 3)
    mine.wscale = min(scale[0], 14) if scale else 0  # RFC 7323 2.3: more than 14 counts as 14
    mine.win = seen.win >> mine.wscale  # windows of SYNs are not scaled (RFC 7323 2.2)


def next_state(flow: Flow, mine: Direction, other: Direction, seen: Seen) -> State:
    """Coarse, and on nobody's side; who opened is told by the flow."""
    if seen.flags & RST:
        return "closed"
    if seen.flags & FIN:
        mine.fin_seen = True
    if mine.fin_seen or other.fin_seen:
        done = mine.fin_seen and other.fin_seen and not seen.flags & FIN and not seen.payload_len
        return (
            "closed"
            if done and seen.ack == other.snd_nxt
            else "closing"
            if flow.state != "closed"
            else "closed"
        )
    if seen.flags & SYN:
        return "syn_received" if seen.flags & ACK else "syn_sent" if flow.state == "syn_sent" else flow.state
    return "established" if flow.state in ("syn_sent", "syn_received", "established") else flow.state
