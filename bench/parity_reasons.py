"""Why the two say different things of a segment: conditions that are checked, in order; docs/parity.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from parity_facts import Facts

from tcpharness.analysis.signs import Order
from tcpharness.packet.segment import SYN

Condition = Callable[[Facts, set[str]], bool]
KEEP_ALIVE, PROBE = Order.KEEP_ALIVE, Order.WINDOW_PROBE
WINDOWS = ("window_update", "window_full", "zero_window", "zero_window_probe", "zero_window_probe_ack")
KEEP_ALIVES = ("keep_alive", "keep_alive_ack")


@dataclass(frozen=True)
class Family:
    """Fields of tshark and findings of ours that speak of the same thing, each with its word for it."""

    name: str
    theirs: dict[str, str]
    ours: dict[str, str]
    by_facts: Callable[[Facts], set[str]] = lambda facts: set()

    def ours_of(self, named: set[str], facts: Facts) -> set[str]:
        return {self.ours[name] for name in named & self.ours.keys()} | self.by_facts(facts)


def in_analysis(*names: str) -> dict[str, str]:
    return {f"tcp.analysis.{name}": name for name in names}


def same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def checksum_word(facts: Facts) -> set[str]:
    """A sum that is left to the device is told once a direction, but seen in every segment."""
    return {"bad"} if facts.cksum not in ("", "ip") else set()


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "loss and order",
            in_analysis("retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order"),
            {
                "retransmission": "retransmission", "spurious_retransmission": "spurious_retransmission",
                "syn_retransmission": "retransmission", "synack_retransmission": "retransmission",
                "out_of_order": "out_of_order",
            },
        ),
        Family("duplicate ACK", in_analysis("duplicate_ack"), same("duplicate_ack")),
        Family(
            "windows and probes",
            in_analysis(*WINDOWS),
            same(*WINDOWS),
        ),
        Family("keep-alive", in_analysis(*KEEP_ALIVES), same(*KEEP_ALIVES)),
        Family(
            "unseen data",
            in_analysis("lost_segment", "ack_lost_segment"),
            {"gap": "lost_segment", "ack_of_unseen": "ack_lost_segment"},
        ),
        Family(
            "reset",
            {"tcp.flags.reset": "reset"},
            dict.fromkeys(
                ("reset", "injected_reset", "reset_out_of_window", "connection_refused", "rst_with_data",
                 "rst_idle_timeout", "keep_alive_answered_by_rst", "half_open"), "reset",
            ),
        ),
        Family("checksum", {"tcp.checksum.status": "bad"}, same("bad_tcp_checksum"), checksum_word),
    )
}  # fmt: skip

EVERYWHERE: tuple[tuple[str, Condition], ...] = (
    ("its ports were silent for a day: another connection", lambda f, n: f.continued),
    (
        "the same connection was captured before, from SYN to end: it was played again",
        lambda f, n: f.replayed,
    ),
    (
        "its IP header's checksum is bad (bad_ip_checksum): the rest is not looked at",
        lambda f, n: f.cksum == "ip",
    ),
    ("the same frame, captured twice (duplicate_frame)", lambda f, n: f.order == Order.COPY),
    ("no receiver takes it: a bad checksum or impossible flags", lambda f, n: not f.usable),
)
AT_LAST: tuple[tuple[str, Condition], ...] = (
    ("in order; beyond it lies a segment that no receiver takes", lambda f, n: f.behind_untaken),
)
ONLY_THEIRS: dict[str, tuple[tuple[str, Condition], ...]] = {
    "loss and order": (
        ("the SYN-ACK of a simultaneous open (RFC 9293 3.5)", lambda f, n: f.crossed),
        (
            "a first copy that came whole (corrupted_then_retransmitted)",
            lambda f, n: "corrupted_then_retransmitted" in n,
        ),
        ("a keep-alive or a window probe", lambda f, n: f.order in (KEEP_ALIVE, PROBE)),
        (
            "captured behind what answers it (wrong_direction_order)",
            lambda f, n: "wrong_direction_order" in n,
        ),
    ),
    "duplicate_ack": (
        ("nothing is outstanding (RFC 5681 2)", lambda f, n: f.outstanding <= 0),
        ("a DSACK: what came twice, not what is missing (RFC 2883)", lambda f, n: f.dsack),
        ("answers a probe, a keep-alive or an offence", lambda f, n: bool(f.answers)),
        ("an old ACK, overtaken by a newer one", lambda f, n: f.order == Order.OLD),
    ),
    "window_update": (
        ("a duplicate ACK with new SACK blocks", lambda f, n: "duplicate_ack" in n),
        ("the window has shrunk (window_shrunk)", lambda f, n: f.edge_moved < 0),
        ("the same edge: what was acknowledged has moved it", lambda f, n: f.edge_moved == 0),
        ("new SACK blocks: it reports what came", lambda f, n: f.new_sack),
    ),
    "window_full": (
        (
            "full, and the next ACK opened it: no stall (window_limited counts those)",
            lambda f, n: f.length > 0 and f.room is not None and f.room <= 0,
        ),
    ),
    "lost_segment": (("an ACK has told of those bytes before (ack_of_unseen)", lambda f, n: f.follows_told),),
    "ack_lost_segment": (
        ("beyond a gap that was told before", lambda f, n: f.acks_told and not f.unseen),
        (
            "of a segment that came with a bad checksum (checksum_bad_but_accepted)",
            lambda f, n: f.acks_damaged,
        ),
        (
            "its data was captured right behind it (wrong_direction_order)",
            lambda f, n: f.unseen and "wrong_direction_order" in n,
        ),
        ("a SYN-ACK that does not acknowledge the SYN", lambda f, n: bool(f.flags & SYN) and f.unseen),
    ),
    "keep_alive": (
        ("an old segment, overtaken by a newer one", lambda f, n: f.order == Order.OLD),
        (
            "a window probe: the other side's window is closed (Linux sends no byte)",
            lambda f, n: f.order == PROBE,
        ),
        ("an ACK that its receiver cannot accept (RFC 5961 5)", lambda f, n: not f.acceptable),
    ),
    "keep_alive_ack": (
        ("answers a window probe", lambda f, n: f.answers == "probe"),
        ("answers an offence (challenge_ack)", lambda f, n: f.answers == "offence"),
    ),
    "bad": (
        (
            "0xffff where 0x0000 is computed: to a receiver both are right (RFC 1624 3)",
            lambda f, n: f.cksum_field == 0xFFFF and not f.cksum,
        ),
    ),
}
ONLY_OURS: dict[str, tuple[tuple[str, Condition], ...]] = {
    "duplicate_ack": (
        ("SACK blocks tell something new, though the window has changed (RFC 6675)",
         lambda f, n: f.new_sack and not f.same_win),
    ),
    "lost_segment": (
        ("its first segment lies beyond what the other side has acknowledged", lambda f, n: not f.spoke),
        ("what lies before it came with a bad checksum", lambda f, n: f.follows_damaged),
    ),
    "keep_alive_ack": (
        (
            "answers a keep-alive, with another window",
            lambda f, n: f.answers == "keep-alive" and not f.same_win,
        ),
    ),
    "zero_window_probe": (
        (
            "Linux probes without a byte: tshark calls it keep_alive (tcp_xmit_probe_skb)",
            lambda f, n: f.length == 0,
        ),
    ),
    "bad": (("cut short: its pseudo-header sum is all that can be known", lambda f, n: f.truncated),),
    "ack_lost_segment": (
        ("it acknowledges a segment that came with a bad checksum", lambda f, n: f.acks_damaged),
    ),
}  # fmt: skip


def reason(family: Family, they: set[str], we: set[str], facts: Facts, named: set[str]) -> str:
    """The first condition that holds; "" when none does."""
    special = ONLY_THEIRS if they else ONLY_OURS
    for word in sorted(they or we):
        for text, holds in (*EVERYWHERE, *special.get(word, ()), *special.get(family.name, ()), *AT_LAST):
            if holds(facts, named):
                return text
    return ""
