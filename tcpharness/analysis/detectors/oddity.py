"""Header fields and options that are harmless, and still worth a line: no usual kernel writes them."""

from __future__ import annotations

from tcpharness.analysis.detector import Hit
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import (
    ACK,
    EOL,
    MSS,
    NOP,
    RST,
    SACK,
    SACK_OK,
    SYN,
    TIMESTAMP,
    URG,
    WSCALE,
    Segment,
)

LEAST_MSS = 536  # RFC 9293 3.7.1: what everybody must take
MOST_SHIFT = 14  # RFC 7323 2.3
STRIPPED_NOPS = 4
MD5, AO, FAST_OPEN, MPTCP, EXPERIMENTS = 19, 29, 34, 30, (253, 254)
KNOWN = {
    EOL,
    NOP,
    MSS,
    WSCALE,
    SACK_OK,
    SACK,
    TIMESTAMP,
    28,
    MD5,
    AO,
    FAST_OPEN,
    MPTCP,
    *EXPERIMENTS,
    172,
    174,
}
KNOWN |= {6, 7, 14, 15, 20}  # echo, alternate checksums, SCPS: of old, and defined


def once(this: Side, word: str) -> bool:
    """True the first time of a direction."""
    if word in this.said:
        return False
    this.say(word)
    return True


# --- any segment ----------------------------------------------------------------------------------


def urg_used(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The URG flag with its pointer. Once a direction.

    why it matters: Middleboxes clear it, and stacks disagree by a byte on what it means (RFC 6093).
    what to do: Programs should do without it; in a scan it is one of the probes.
    limits: What the pointer points at is not looked into.
    fires: urgent data
        0.000 > PU. 1:11(10) ack 1 urg 5
    silent: none
        0.000 > P. 1:11(10) ack 1
    """
    if not segment.flags & URG or segment.flags & SYN or not once(this, "urg"):
        return None
    return Hit(f"urgent pointer {segment.urg}")


def urg_pointer_without_urg(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An urgent pointer that means nothing, for the URG flag is not set. Once a direction.

    why it matters: Left over in a buffer, cleared by half in a middlebox, or a hidden channel.
    what to do: Find out what writes it.
    limits: None.
    fires: left over
        0.000 > P. 1:11(10) ack 1 urg 5
    silent: used
        0.000 > PU. 1:11(10) ack 1 urg 5
    """
    if segment.flags & URG or not segment.urg or not once(this, "urg pointer"):
        return None
    return Hit(f"urgent pointer {segment.urg} without URG")


def tcp_reserved_bits(segment: Segment, this: Side, other: Side) -> Hit | None:
    """One of the three reserved bits is set (RFC 9293 3.1). Once a direction.

    why it matters: Nobody defines them: a broken sender, a scanner, or a hidden channel.
    what to do: Find out what writes them.
    limits: The fourth of the old ones is AE now (RFC 9768) and a flag here.
    fires: set
        0.000 > P. 1:11(10) ack 1 [reserved 2]
    silent: clear
        0.000 > P. 1:11(10) ack 1
    """
    if not segment.reserved or not once(this, "reserved"):
        return None
    return Hit(f"reserved bits {segment.reserved:03b}")


def mss_on_non_syn(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An MSS option outside a SYN, where it means nothing (RFC 9293 3.7.1). Once a direction.

    why it matters: It is ignored; its sender is no usual stack, or a middlebox has mixed something up.
    what to do: Find out what writes it.
    limits: None.
    fires: in data
        0.000 > P. 1:11(10) ack 1 <mss 1460>
    silent: in a SYN
        0.000 > S 0:0(0) <mss 1460>
    """
    if segment.mss < 0 or segment.flags & SYN or not once(this, "late mss"):
        return None
    return Hit(f"MSS {segment.mss} in a segment without SYN")


def wscale_on_non_syn(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A window scale option outside a SYN, where it means nothing (RFC 7323 2.1). Once a direction.

    why it matters: It is ignored; a reader that takes it gets every window wrong.
    what to do: Find out what writes it.
    limits: None.
    fires: in data
        0.000 > P. 1:11(10) ack 1 <nop,wscale 7>
    silent: in a SYN
        0.000 > S 0:0(0) <nop,wscale 7>
    """
    if segment.wscale < 0 or segment.flags & SYN or not once(this, "late wscale"):
        return None
    return Hit(f"window scale {segment.wscale} in a segment without SYN")


def sack_perm_on_non_syn(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SACK-permitted option outside a SYN, where it means nothing (RFC 2018 2). Once a direction.

    why it matters: It is ignored; its sender is no usual stack.
    what to do: Find out what writes it.
    limits: None.
    fires: in data
        0.000 > P. 1:11(10) ack 1 <nop,nop,sackOK>
    silent: in a SYN
        0.000 > S 0:0(0) <nop,nop,sackOK>
    """
    if not segment.sack_ok or segment.flags & SYN or not once(this, "late sackOK"):
        return None
    return Hit("SACK permitted in a segment without SYN")


def sack_without_permission(segment: Segment, this: Side, other: Side) -> Hit | None:
    """SACK blocks to a side that did not offer SACK in its SYN (RFC 2018 4). Once a direction.

    why it matters: It may ignore them; or a middlebox has stripped the offer on the way to this vantage.
    what to do: Compare the SYNs at both sides (option_stripped).
    limits: Needs both SYNs.
    fires: nobody asked
        0.000 > S 0:0(0) <mss 1460>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
        0.002 > . 1001:2001(1000) ack 1
        0.003 < . 1:1(0) ack 1 <nop,nop,sack 1 {1001:2001}>
    silent: offered
        0.000 > S 0:0(0) <mss 1460,sackOK>
        0.001 < S. 0:0(0) ack 1 <mss 1460,sackOK>
        0.002 > . 1001:2001(1000) ack 1
        0.003 < . 1:1(0) ack 1 <nop,nop,sack 1 {1001:2001}>
    """
    if not this.options_known or (other.sack_ok and this.sack_ok) or not once(this, "sack"):
        return None
    return Hit("SACK blocks, though not both SYNs had offered SACK")


# --- SYNs -----------------------------------------------------------------------------------------


def mss_tiny(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An MSS below 536 bytes in a SYN.

    why it matters: Many more packets for the same bytes: a very small link, a mistake, or an attack on a
        processor.
    what to do: Nothing: Linux cuts no smaller than net.ipv4.tcp_min_snd_mss (48), options included.
    limits: None.
    fires: 48
        0.000 > S 0:0(0) <mss 48>
    silent: the usual
        0.000 > S 0:0(0) <mss 1460>
    """
    if not 0 <= segment.mss < LEAST_MSS or not segment.flags & SYN:
        return None
    return Hit(f"MSS {segment.mss}", detail={"mss": segment.mss})


def wscale_gt_14(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A window scale above 14 in a SYN (RFC 7323 2.3: to be used as 14).

    why it matters: Stacks that don't bound it compute windows beyond the sequence space.
    what to do: Find out what writes it.
    limits: None.
    fires: 15
        0.000 > S 0:0(0) <nop,wscale 15>
    silent: 14
        0.000 > S 0:0(0) <nop,wscale 14>
    """
    if segment.wscale <= MOST_SHIFT or not segment.flags & SYN:
        return None
    return Hit(f"window scale {segment.wscale}, used as {MOST_SHIFT}")


def ack_nonzero_without_ack_flag(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN without ACK whose acknowledgement number is not zero.

    why it matters: No kernel leaves one there: a crafted segment, a scanner, or a hidden channel.
    what to do: Find out who its sender is.
    limits: Only SYNs; some stacks leave a number in a RST.
    fires: a number that means nothing
        0.000 > S 0:0(0) ack 77
    silent: zero
        0.000 > S 0:0(0)
    """
    if segment.flags & ACK or not segment.ack:
        return None
    return Hit(f"ack {segment.ack} without the ACK flag")


def tcp_option_nop_run(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Four NOPs in a row, or more, in a SYN: where an option was.

    why it matters: A middlebox has overwritten an option with padding; stacks write two NOPs at the most.
    what to do: Compare with a capture nearer to the sender (option_stripped tells which one).
    limits: What was there is not known.
    fires: a window scale was there
        0.000 > S 0:0(0) <mss 1460,nop,nop,nop,nop>
    silent: alignment
        0.000 > S 0:0(0) <mss 1460,nop,nop,TS val 5 ecr 0>
    """
    run = longest = 0
    for kind, _ in segment.options:
        run = run + 1 if kind == NOP else 0
        longest = max(longest, run)
    return Hit(f"{longest} NOPs in a row") if longest >= STRIPPED_NOPS else None


def tcp_option_duplicate(segment: Segment, this: Side, other: Side) -> Hit | None:
    """The same option twice in a SYN.

    why it matters: Which one counts is not defined: monitors and stacks may disagree, and be evaded.
    what to do: Find out what writes it.
    limits: None.
    fires: two
        0.000 > S 0:0(0) <mss 1460,mss 536>
    silent: one
        0.000 > S 0:0(0) <mss 1460>
    """
    kinds = [kind for kind, _ in segment.options if kind not in (EOL, NOP, *EXPERIMENTS)]
    double = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    return Hit(f"option {', '.join(map(str, double))} twice") if double else None


def tcp_option_after_eol_nonzero(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Bytes that are not zero behind the end of a SYN's options (RFC 9293 3.1).

    why it matters: Nobody reads them: left over, or hidden on purpose.
    what to do: Find out what writes them.
    limits: None.
    fires: an option behind the end
        0.000 > S 0:0(0) <eol,mss 1460>
    silent: padding
        0.000 > S 0:0(0) <mss 1460,eol>
    """
    held = segment.data[segment.tcp_at + 20 : segment.payload_at]
    used = sum(2 + len(value) if kind not in (EOL, NOP) else 1 for kind, value in segment.options)
    ended = any(kind == EOL for kind, _ in segment.options)
    return Hit(f"0x{held[used:].hex()} behind the end of options") if ended and any(held[used:]) else None


def tcp_option_unknown(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An option in a SYN that no standard defines.

    why it matters: A device's own; some firewalls drop SYNs with what they don't know.
    what to do: Nothing, unless such SYNs get lost.
    limits: The experimental ones (253, 254) are not unknown.
    fires: 76
        0.000 > S 0:0(0) <unknown-76 0x0101>
    silent: known ones
        0.000 > S 0:0(0) <mss 1460,sackOK>
    """
    strange = sorted({kind for kind, _ in segment.options} - KNOWN)
    return Hit(f"option {', '.join(map(str, strange))}") if strange else None


def md5_or_ao_option(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN that is signed: MD5 (RFC 2385) or the authentication option (RFC 5925).

    why it matters: Usual between routers (BGP); without the key nobody opens or resets the connection.
    what to do: Nothing.
    limits: The signature is not verified.
    fires: MD5
        0.000 > S 0:0(0) <mss 1460,unknown-19 0x00000000000000000000000000000000>
    silent: plain
        0.000 > S 0:0(0) <mss 1460>
    """
    kinds = {kind for kind, _ in segment.options}
    if not kinds & {MD5, AO}:
        return None
    return Hit("signed", "md5" if MD5 in kinds else "ao")


def port_zero(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Port 0, which nobody may use (RFC 6335 6). Once a connection.

    why it matters: Crafted: a fingerprint, an evasion of filters, or a broken program.
    what to do: Filter it.
    limits: None.
    fires: to port 0
        0.000 10.0.0.1.4000 > 10.0.0.2.0: S 0:0(0)
    silent: to port 1
        0.000 10.0.0.1.4000 > 10.0.0.2.1: S 0:0(0)
    """
    return Hit("port 0") if not segment.sport or not segment.dport else None


def ip_option_present(segment: Segment, this: Side, other: Side) -> Hit | None:
    """IPv4 options on the first packet of a connection.

    why it matters: Routers handle them slowly or drop them; source routes are an old attack.
    what to do: Find out what writes them.
    limits: Only the first packet is looked at.
    fires: never in the short notation
    silent: none
        0.000 > S 0:0(0)
    """
    options = segment.ip_options
    return Hit(f"{len(options)} bytes of IP options, the first of type {options[0]}") if options else None


def syn_with_data(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A SYN with payload: TCP fast open (RFC 7413), or a stack that is not a usual one.

    why it matters: With fast open it saves a round trip; without, most listeners acknowledge the SYN alone.
    what to do: Nothing; look whether the SYN-ACK acknowledges the data.
    limits: None.
    fires: fast open
        0.000 > S 0:10(10) <mss 1460,unknown-34 0x0102030405060708>
    silent: a cookie is asked for
        0.000 > S 0:0(0) <mss 1460,unknown-34>
    """
    if not segment.payload_len or not segment.flags & SYN:
        return None
    fast = any(kind == FAST_OPEN for kind, _ in segment.options)
    return Hit(f"{segment.payload_len} bytes in a SYN", "fast_open" if fast else "plain")


def timestamp_missing_mid_flow(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A segment without timestamps where both sides had agreed on them (RFC 7323 3.2). Once a direction.

    why it matters: Its receiver should drop it: not the same sender, or a middlebox that answers in its name.
    what to do: Compare its TTL and IP id with its sender's other segments.
    limits: Needs both SYNs. RSTs need none.
    fires: without
        0.000 > S 0:0(0) <mss 1460,TS val 1 ecr 0>
        0.001 < S. 0:0(0) ack 1 <mss 1460,TS val 9 ecr 1>
        0.002 > . 1:1(0) ack 1
    silent: never agreed
        0.000 > S 0:0(0) <mss 1460,TS val 1 ecr 0>
        0.001 < S. 0:0(0) ack 1 <mss 1460>
        0.002 > . 1:1(0) ack 1
    """
    if segment.tsval >= 0 or not (this.options_known and this.ts_ok and other.ts_ok) or segment.flags & RST:
        return None
    return Hit("no timestamps, though agreed on") if once(this, "no timestamps") else None
