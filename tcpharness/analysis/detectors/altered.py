"""SYNs that two captures of one way have differently: each as it was nearer to its sender, and farther."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcpharness.analysis.hit import Hit
from tcpharness.packet.segment import CWR, ECE, MSS, SACK_OK, TIMESTAMP, WSCALE

if TYPE_CHECKING:
    from tcpharness.analysis.compare import Seen

NAMES = {
    MSS: "mss",
    WSCALE: "wscale",
    SACK_OK: "sackOK",
    TIMESTAMP: "timestamps",
    34: "fast_open",
    30: "mptcp",
}


def option_stripped(near: Seen, far: Seen) -> Hit | None:
    """Two vantages: a SYN's option left one host and did not reach the other.

    why it matters: The connection does without it from then on: windows of 64 KB, no SACK, no timestamps.
    what to do: Look for a firewall or a proxy between the two vantages that cleans or rewrites SYNs.
    limits: Needs both captures, and the same addresses, ports and number in both: not through a NAT.
    fires: no window scaling on the other side
        0.000 > S 0:0(0) <mss 1460,nop,wscale 7>
        far 0.001 > S 0:0(0) <mss 1460,nop,nop,nop,nop> [ttl 63]
    silent: as it was sent
        0.000 > S 0:0(0) <mss 1460,nop,wscale 7>
        far 0.001 > S 0:0(0) <mss 1460,nop,wscale 7> [ttl 63]
    """
    stripped = [kind for kind in near.options if kind not in far.options]
    if not stripped:
        return None
    words = ", ".join(NAMES.get(kind, f"option {kind}") for kind in stripped)
    kind = NAMES.get(stripped[0], "other")
    return Hit(f"arrived without {words}", kind, {"lost": words, "left_as_frame": near.frame})


def mss_clamped(near: Seen, far: Seen) -> Hit | None:
    """Two vantages: the MSS of a SYN is not what it was when it left.

    why it matters: A router on the way makes segments fit a smaller link: a tunnel, PPPoE. It is meant well.
    what to do: Nothing; a larger one than was sent is a mistake.
    limits: As option_stripped.
    fires: for a tunnel
        0.000 > S 0:0(0) <mss 1460>
        far 0.001 > S 0:0(0) <mss 1360> [ttl 63]
    silent: as it was sent
        0.000 > S 0:0(0) <mss 1460>
        far 0.001 > S 0:0(0) <mss 1460> [ttl 63]
    """
    if near.mss < 0 or far.mss < 0 or near.mss == far.mss:
        return None
    return Hit(
        f"MSS {near.mss} when it left, {far.mss} here",
        level="warning" if far.mss > near.mss else None,
        detail={"left": near.mss, "arrived": far.mss},
    )


def ecn_bleached(near: Seen, far: Seen) -> Hit | None:
    """Two vantages: a SYN asked for ECN when it left, and does not any more.

    why it matters: The connection does without ECN: congestion is told by loss (RFC 3168 6.1.1).
    what to do: Look for an old firewall that clears ECE and CWR, or the two lower bits of tos.
    limits: As option_stripped. The marks of later segments are not compared.
    fires: cleared
        0.000 > SEW 0:0(0) <mss 1460>
        far 0.001 > S 0:0(0) <mss 1460> [ttl 63]
    silent: as it was sent
        0.000 > SEW 0:0(0) <mss 1460>
        far 0.001 > SEW 0:0(0) <mss 1460> [ttl 63]
    """
    lost = near.flags & ~far.flags & (ECE | CWR)
    return Hit("ECE or CWR did not arrive") if lost else None
