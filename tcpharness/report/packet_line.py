"""A frame as `tcpdump -v -n` prints it: every field of IP and TCP, checksums judged; IPv4 on two lines.

    12:00:00.000000 IP (tos 0x0, ttl 64, id 7, offset 0, flags [DF], proto TCP (6), length 40)
        10.0.0.1.40000 > 10.0.0.2.105: Flags [S], cksum 0x1234 (correct), seq 1, win 64240, length 0

Sequence numbers are relative as there: from the second segment with ACK of a conversation on, to the first
one (a SYN-ACK begins anew). What a payload holds is not looked into; bench/tcpdump_parity compares the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tcpharness.packet.checksum import ip_checksum, ones_complement_sum, verdict
from tcpharness.packet.segment import ACK, FIN, RST, SEQ_SPACE, SYN, URG, Segment, flags_text
from tcpharness.report.extension_words import extensions_text, has_fragment_header
from tcpharness.report.option_words import ip_options_text, tcp_options_text

Clock = Callable[[int], str]  # nanoseconds since the epoch as the time of day
End = tuple[str, int]


class Relative(NamedTuple):
    """What is taken off the numbers of a segment: its own, those of the other side, SACK blocks."""

    own: int = 0
    other: int = 0
    sack: int = 0


MOST_CONVERSATIONS = 100_000  # whose first numbers are kept; beyond it the oldest is printed in full again
ECN = ("", ",ECT(1)", ",ECT(0)", ",CE")
PROTOCOLS = {
    0: "Options", 1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 8: "EGP", 9: "IGRP", 17: "UDP", 33: "DCCP",
    41: "IPv6", 43: "Routing", 44: "Fragment", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH", 55: "Mobile IP",
    58: "ICMPv6", 62: "Mobile IP (old)", 88: "EIGRP", 89: "OSPF", 103: "PIM", 108: "Compressed IP",
    112: "VRRP", 113: "PGM", 132: "SCTP", 135: "Mobility", 143: "Ethernet",
}  # fmt: skip


class PacketLines:
    """Frames in order to lines; it remembers what sequence numbers are relative to."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        # The ends in order -> whose the first segment was, what it began with, what it acknowledged
        self.first: dict[tuple[End, End], tuple[End, int, int]] = {}

    def line(self, segment: Segment) -> str:
        time = self.clock(segment.time_ns)
        if not segment.version:
            return f"{time} {segment.kind}, length {segment.wire_len}"
        tunnel = f"{segment.tunnel}: " if segment.tunnel else ""
        if not segment.src:
            return f"{time} {tunnel}IP{'6' if segment.version == 6 else ''}, too short"
        header = ipv4_text(segment) if segment.version == 4 else ipv6_text(segment)
        return f"{time} {tunnel}{header}{self.inside(segment)}"

    def inside(self, segment: Segment) -> str:
        if not segment.is_tcp:
            later = segment.version == 4 and segment.frag_offset
            what = f"ip-proto-{segment.proto}" if later else segment.kind
            return f"{segment.src} > {segment.dst}: {what}"
        src, dst = (segment.src, segment.sport), (segment.dst, segment.dport)
        text = tcp_text(segment, self.relative_to(segment, src, dst))
        extensions = extensions_text(segment) if segment.version == 6 else ""
        if extensions:
            return f"{src[0]} > {dst[0]}: {extensions}{src[1]} > {dst[1]}: {text}"
        return f"{src[0]}.{src[1]} > {dst[0]}.{dst[1]}: {text}"

    def relative_to(self, segment: Segment, src: End, dst: End) -> Relative:
        if not segment.flags & ACK or segment.offset < 5:
            return Relative()
        key = (src, dst) if src < dst else (dst, src)
        known = self.first.get(key)
        if known is None or segment.flags & SYN:
            if len(self.first) >= MOST_CONVERSATIONS:
                del self.first[next(iter(self.first))]
            acked = (segment.ack - 1) % SEQ_SPACE
            self.first[key] = (src, segment.seq, acked)
            return Relative(sack=acked)
        sender, seq, ack = known
        return Relative(seq, ack, ack) if sender == src else Relative(ack, seq, seq)


def ipv4_text(segment: Segment) -> str:
    header = segment.ip_header
    words = [
        f"tos 0x{segment.tos:x}{ECN[segment.tos & 3]}",
        *([f"ttl {segment.ttl}"] if segment.ttl else []),
        f"id {segment.id}",
        f"offset {segment.frag_offset}",
        f"flags [{ip_flags(segment)}]",
        f"proto {PROTOCOLS.get(segment.proto, 'unknown')} ({segment.proto})",
        f"length {segment.ip_len or f'{there(segment)} [was 0, presumed TSO]'}",
    ]
    if header[20:]:
        words.append(f"options ({ip_options_text(header[20:])})")
    if ones_complement_sum(header) != 0xFFFF:
        words.append(f"bad cksum {segment.ip_cksum:x} (->{ip_checksum(header):x})!")
    return f"IP {missing(segment, 'truncated-ip', segment.ip_len)}({', '.join(words)})\n    "


def ip_flags(segment: Segment) -> str:
    reserved = segment.data[segment.ip_at + 6] & 0x80
    names = [n for n, there in (("+", segment.mf), ("DF", segment.df), ("rsvd", reserved)) if there]
    return ", ".join(names) or "none"


def ipv6_text(segment: Segment) -> str:
    at = segment.ip_at
    label = int.from_bytes(segment.data[at + 1 : at + 4], "big") & 0xFFFFF
    following = segment.data[at + 6]
    name = PROTOCOLS.get(following, "unknown")
    words = [f"class 0x{segment.tos:02x}"] if segment.tos else []
    words += [f"flowlabel 0x{label:05x}"] if label else []
    words += [f"hlim {segment.ttl}", f"next-header {name} ({following}) payload length: {segment.ip_len}"]
    return f"IP6 {missing(segment, 'truncated-ip6', 40 + segment.ip_len)}({', '.join(words)}) "


def there(segment: Segment) -> int:
    """How many bytes of the packet were on the wire, with what pads the frame."""
    return segment.wire_len - (segment.ip_at - segment.at)


def missing(segment: Segment, name: str, length: int) -> str:
    """What the IP length promises beyond the frame that was on the wire."""
    return f"{name} - {length - there(segment)} bytes missing! " if length > there(segment) else ""


def tcp_text(segment: Segment, relative: Relative) -> str:
    head = f"Flags [{flags_text(segment.flags)}]"
    length = segment.offset * 4
    if length < 20:
        return f" tcp {segment.tcp_len - length} [bad hdr length {length} - too short, < 20]"
    if length > segment.tcp_len:
        return f"{head} [bad hdr length {length} - too long, > {segment.tcp_len}]"
    words = [head, *checksum_words(segment), *number_words(segment, relative)]
    options = tcp_options_text(segment, relative.sack)
    if options:
        words.append(f"options [{options}]")
    words.append(f"length {segment.payload_len}")
    return ", ".join(words)


def checksum_words(segment: Segment) -> list[str]:
    if segment.mf or not segment.whole or has_fragment_header(segment):
        return []
    found = verdict(segment)
    if found.word == "correct":
        return [f"cksum 0x{segment.cksum:04x} (correct)"]
    return [f"cksum 0x{segment.cksum:04x} (incorrect -> 0x{found.right or 0:04x})"]


def number_words(segment: Segment, relative: Relative) -> list[str]:
    words = []
    seq, length = (segment.seq - relative.own) % SEQ_SPACE, segment.payload_len
    if length:
        words.append(f"seq {seq}:{(seq + length) % SEQ_SPACE}")
    elif segment.flags & (SYN | FIN | RST):
        words.append(f"seq {seq}")
    if segment.flags & ACK:
        words.append(f"ack {(segment.ack - relative.other) % SEQ_SPACE}")
    words.append(f"win {segment.win}")
    return words + ([f"urg {segment.urg}"] if segment.flags & URG else [])
