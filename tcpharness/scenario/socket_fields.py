"""What can be asked of a TCP socket: names, units, and where the kernel keeps each (struct tcp_info)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["count", "size", "time", "rate"]


@dataclass(frozen=True, slots=True)
class SocketField:
    """`factor` makes the kernel's number nanoseconds, or bits per second."""

    name: str
    unit: Unit
    about: str
    source: str = ""  # in TCP_INFO; empty: of the socket itself
    factor: int = 1
    none: int | None = None  # the kernel's number for: not known yet


US, BYTES_PER_S = 1000, 8


def _of(unit: Unit, factor: int, **about: str) -> tuple[SocketField, ...]:
    return tuple(
        SocketField(name, unit, text, SOURCES.get(name, name), factor, NONE.get(name))
        for name, text in about.items()
    )


# No round trip was measured; no pace was set (both ~0).
NONE = {"min_rtt": (1 << 32) - 1, "pacing_rate": (1 << 64) - 1}
# Names that `ss` and people shorten.
SOURCES = {"cwnd": "snd_cwnd", "ssthresh": "snd_ssthresh", "mss": "snd_mss"}

FIELDS = (
    SocketField(
        "recv_q", "size", "What waits for the program to read it (LISTEN: connections to be accepted)."
    ),
    SocketField("send_q", "size", "What has not been acknowledged (LISTEN: the backlog)."),
    *_of(
        "time",
        US,
        rto="The retransmission timeout.",
        rtt="The smoothed round-trip time.",
        rttvar="Its variation.",
        min_rtt="The smallest round-trip time.",
        rcv_rtt="The round-trip time that a receiver guesses.",
        ato="The delayed ACK's timeout.",
        busy_time="How long there was something to send.",
        rwnd_limited="How long the receiver's window held it up.",
        sndbuf_limited="How long the send buffer held it up.",
    ),
    *_of(
        "size",
        1,
        mss="The largest segment sent.",
        rcv_mss="The largest segment received, as guessed.",
        advmss="The MSS offered.",
        pmtu="The path's MTU.",
        rcv_space="The receive buffer's tuning.",
        rcv_ssthresh="The largest window to be offered.",
        snd_wnd="The window that the other side offers.",
        rcv_wnd="The window that is offered.",
        notsent_bytes="What has not been sent for the first time.",
        bytes_sent="Payload sent, retransmissions included.",
        bytes_retrans="Payload sent again.",
        bytes_acked="Payload acknowledged (SYN and FIN count one each).",
        bytes_received="Payload received in order.",
    ),
    *_of(
        "count",
        1,
        cwnd="The congestion window, in segments.",
        ssthresh="Where slow start ends, in segments.",
        unacked="Segments on their way.",
        sacked="Of those: acknowledged by SACK.",
        lost="Of those: taken for lost.",
        retrans="Of those: sent again.",
        total_retrans="Segments sent again, ever.",
        retransmits="Timeouts in a row.",
        backoff="Doublings of the timeout.",
        probes="Window probes or keep-alives unanswered.",
        reordering="Segments that may overtake each other without being taken for lost.",
        reord_seen="Times that reordering was seen.",
        dsack_dups="Duplicates that the other side told of (DSACK).",
        rcv_ooopack="Segments received out of order.",
        segs_out="Segments sent.",
        segs_in="Segments received.",
        data_segs_out="Segments with payload sent.",
        data_segs_in="Segments with payload received.",
        delivered="Segments known to have arrived.",
        delivered_ce="Of those: marked for congestion.",
        total_rto="Timeouts, ever.",
        snd_wscale="The other side's window scale.",
        rcv_wscale="The own window scale.",
        ca_state="Congestion control: 0 open, 1 disorder, 2 reduced, 3 recovery, 4 loss.",
    ),
    *_of(
        "rate", BYTES_PER_S, pacing_rate="The pace of sending.", delivery_rate="What arrives, as estimated."
    ),
)
BY_NAME = {field.name: field for field in FIELDS}

# As `ss` spells them, in the language's lower case.
STATES = (
    "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait", "close", "close_wait",
    "last_ack", "listen", "closing",
)  # fmt: skip
TIMERS = ("none", "retransmit", "keepalive", "timewait", "probe")
