"""A captured frame as a segment: every header field in the project's one spelling, nothing thrown away.

Broken packets are our business: what can't be decoded leaves `malformed` with the reason, and what
could be read before is there. What is not TCP has `is_tcp` False and says in `kind` what it is.
Sequence numbers have their own arithmetic (RFC 9293 3.4): never compare them with `<`.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from tcpharness.packet.address import address_text, mac_text
from tcpharness.packet.ip import IpHeader, read_ip
from tcpharness.packet.link import read_link

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))
FLAG_LETTERS = "FSRP.UEWe"  # tcpdump's, from bit 0 on

# RFC 9293 3.1, offsets in the TCP header.
SPORT, DPORT, SEQ, ACK_NUMBER, OFFSET_RESERVED, FLAGS, WINDOW, CKSUM, URGENT, OPTIONS = (
    0, 2, 4, 8, 12, 13, 14, 16, 18, 20,
)  # fmt: skip
TCP_HEADER = Struct("!HHIIBBHHH")

EOL, NOP, MSS, WSCALE, SACK_OK, SACK, TIMESTAMP = 0, 1, 2, 3, 4, 5, 8
TIMESTAMP_ONLY = b"\x01\x01\x08\x0a"  # nop, nop, TS: what nearly every segment carries
TWO_NUMBERS = Struct("!II")

SEQ_SPACE = 1 << 32
SEQ_HALF = 1 << 31


def seq_add(seq: int, count: int) -> int:
    return (seq + count) % SEQ_SPACE


def seq_diff(a: int, b: int) -> int:
    """a - b as a signed number: how far a is ahead of b in the 32-bit circle."""
    return (a - b + SEQ_HALF) % SEQ_SPACE - SEQ_HALF


def seq_lt(a: int, b: int) -> bool:
    return seq_diff(a, b) < 0


def seq_le(a: int, b: int) -> bool:
    return seq_diff(a, b) <= 0


def flags_text(flags: int) -> str:
    """The flags in tcpdump's letters; "none" when there are none."""
    return "".join(letter for bit, letter in enumerate(FLAG_LETTERS) if flags >> bit & 1) or "none"


def flags_value(text: str) -> int:
    """The bits of tcpdump's letters; ValueError names the letter that is none."""
    if text == "none":
        return 0
    value = 0
    for letter in text:
        if letter not in FLAG_LETTERS:
            raise ValueError(f"{letter!r} is no TCP flag; expected letters of {FLAG_LETTERS} or none")
        value |= 1 << FLAG_LETTERS.index(letter)
    return value


class Options(NamedTuple):
    """The options that mean something to the analysis; None: absent."""

    mss: int | None = None
    wscale: int | None = None
    sack_ok: bool = False
    sacks: tuple[tuple[int, int], ...] = ()
    tsval: int | None = None
    tsecr: int | None = None


@dataclass(slots=True)
class Segment:
    """One frame. Ports, numbers and windows as on the wire; `win` is not scaled, `len` fields are bytes."""

    time_ns: int = 0
    frame: int = 0  # from 1 in its capture
    wire_len: int = 0
    cap_len: int = 0
    src_mac: str = ""
    dst_mac: str = ""
    ethertype: int = 0
    vlans: tuple[int, ...] = ()
    version: int = 0  # 4, 6; 0: no IP
    src: str = ""
    dst: str = ""
    ttl: int = 0  # IPv6: hop limit
    tos: int = 0  # IPv6: traffic class
    id: int = 0  # IPv6: that of a fragment header
    df: bool = False
    mf: bool = False
    frag_offset: int = 0  # bytes
    proto: int = 0
    ip_len: int = 0  # IPv4: total length; IPv6: payload length
    ip_cksum: int = 0
    ip_options: bytes = b""
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    win: int = 0
    cksum: int = 0
    urg: int = 0
    offset: int = 0  # 32-bit words
    reserved: int = 0
    mss: int | None = None
    wscale: int | None = None
    sack_ok: bool = False
    sacks: tuple[tuple[int, int], ...] = ()
    tsval: int | None = None
    tsecr: int | None = None
    payload_len: int = 0  # by the IP length, also when the capture holds less
    is_tcp: bool = False
    kind: str = ""  # of a frame that is not TCP: "arp", "udp", "icmp", "ethertype 0x88b5", ...
    malformed: str | None = None
    tunnel: str = ""  # what it was wrapped in: "vxlan", "gre", "ipip"
    whole: bool = False  # all bytes of the TCP segment were captured
    data: bytes = b""  # the frame, from which the parts below are cut
    ip_at: int = 0
    tcp_at: int = 0
    payload_at: int = 0
    end: int = 0  # where the captured part of the IP packet ends in `data`
    tcp_len: int = 0  # header and payload by the IP length
    src_bytes: bytes = b""
    dst_bytes: bytes = b""

    @property
    def payload(self) -> bytes:
        return self.data[self.payload_at : self.end]

    @property
    def tcp_bytes(self) -> bytes:
        return self.data[self.tcp_at : self.end]

    @property
    def ip_header(self) -> bytes:
        """The IPv4 header with its options, b"" for IPv6."""
        if self.version != 4:
            return b""
        return self.data[self.ip_at : self.ip_at + 20 + len(self.ip_options)]

    @property
    def options(self) -> tuple[tuple[int, bytes], ...]:
        """The TCP options in order as (kind, value); what is left after a malformed one is not there."""
        return tuple(read_options(self.data[self.tcp_at + OPTIONS : self.payload_at])[0])

    @property
    def next_seq(self) -> int:
        """seq plus what the segment occupies: payload, SYN, FIN (RFC 9293 3.4 SEG.LEN)."""
        return (self.seq + self.payload_len + (self.flags & 1) + (self.flags >> 1 & 1)) % SEQ_SPACE


def decode(
    data: bytes, linktype: int = 1, *, time_ns: int = 0, frame: int = 0, wire_len: int | None = None
) -> Segment:
    """Any captured frame; `wire_len` is its length before snapping. Never raises."""
    length = len(data)
    segment = Segment(
        time_ns=time_ns,
        frame=frame,
        wire_len=length if wire_len is None else wire_len,
        cap_len=length,
        data=data,
    )
    link = read_link(data, linktype)
    segment.ethertype, segment.vlans = link.ethertype, link.vlans
    if link.dst_mac:
        segment.dst_mac, segment.src_mac = mac_text(link.dst_mac), mac_text(link.src_mac)
    if not link.is_ip:
        segment.kind = link.kind
        if link.kind == "short frame":
            segment.malformed = "the frame ends inside its link header"
        return segment
    header = read_ip(data, link.at, segment.wire_len)
    _take_ip(segment, header)
    if header.proto == 6 and not header.frag_offset and not header.fatal:
        _read_tcp(segment, header)
    else:
        segment.kind = header.kind
    return segment


def _take_ip(segment: Segment, header: IpHeader) -> None:
    segment.version, segment.ip_at, segment.tunnel = header.version, header.at, header.tunnel
    segment.src_bytes, segment.dst_bytes = header.src, header.dst
    if header.src:
        segment.src, segment.dst = address_text(header.src), address_text(header.dst)
    segment.ttl, segment.tos, segment.id = header.ttl, header.tos, header.id
    segment.df, segment.mf, segment.frag_offset = header.df, header.mf, header.frag_offset
    segment.proto, segment.ip_len, segment.ip_cksum = header.proto, header.ip_len, header.cksum
    segment.ip_options = header.options
    segment.malformed = header.malformed
    segment.tcp_at, segment.end, segment.tcp_len = header.next_at, header.end, header.next_len


def _read_tcp(segment: Segment, header: IpHeader) -> None:
    at, end = segment.tcp_at, segment.end
    if end - at < TCP_HEADER.size:
        segment.kind = "short tcp"
        if segment.tcp_len < TCP_HEADER.size:
            segment.malformed = f"TCP in {segment.tcp_len} bytes; its header alone takes 20"
        return
    (segment.sport, segment.dport, segment.seq, segment.ack, words, flags, segment.win, segment.cksum,
     segment.urg) = TCP_HEADER.unpack_from(segment.data, at)  # fmt: skip
    segment.is_tcp = True
    segment.offset = words >> 4
    segment.reserved = words >> 1 & 7
    segment.flags = flags | (words & 1) << 8
    segment.whole = end - at == segment.tcp_len
    _read_body(segment)


def _read_body(segment: Segment) -> None:
    header_len = segment.offset * 4
    segment.payload_at = min(segment.tcp_at + max(header_len, OPTIONS), segment.end)
    if header_len < OPTIONS:
        segment.malformed = f"data offset {segment.offset} is below 5 (RFC 9293 3.1)"
        segment.payload_len = 0
    elif header_len > segment.tcp_len:
        segment.malformed = f"data offset {segment.offset} points past the segment of {segment.tcp_len} bytes"
        segment.payload_len = 0
    else:
        segment.payload_len = segment.tcp_len - header_len
    if header_len > OPTIONS:
        _take_options(segment, header_len)


def _take_options(segment: Segment, header_len: int) -> None:
    at = segment.tcp_at + OPTIONS
    if header_len == 32 and segment.data[at : at + 4] == TIMESTAMP_ONLY and segment.payload_at - at == 12:
        segment.tsval, segment.tsecr = TWO_NUMBERS.unpack_from(segment.data, at + 4)
        return
    cut = segment.payload_at < segment.tcp_at + header_len
    options, problem = read_options(segment.data[at : segment.payload_at])
    if problem and not cut:
        segment.malformed = segment.malformed or problem
    known = decode_options(options)
    segment.mss, segment.wscale, segment.sack_ok = known.mss, known.wscale, known.sack_ok
    segment.sacks, segment.tsval, segment.tsecr = known.sacks, known.tsval, known.tsecr


def read_options(data: bytes) -> tuple[list[tuple[int, bytes]], str | None]:
    """The options one after the other (RFC 9293 3.2) and, when one is no option, what is wrong with it."""
    options: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        kind = data[at]
        if kind == EOL:
            options.append((EOL, b""))
            break
        if kind == NOP:
            options.append((NOP, b""))
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        if length < 2:
            return options, f"option {kind} has length {length}; the least is 2"
        if at + length > len(data):
            return options, f"option {kind} of {length} bytes runs past the header"
        options.append((kind, data[at + 2 : at + length]))
        at += length
    return options, None


def decode_options(options: list[tuple[int, bytes]]) -> Options:
    """What the options say; one of a wrong length says nothing."""
    found = {kind: value for kind, value in options if len(value) == LENGTHS.get(kind, len(value))}
    sack = found.get(SACK, b"")
    blocks = tuple(TWO_NUMBERS.unpack_from(sack, at) for at in range(0, len(sack) - 7, 8))
    tsval, tsecr = TWO_NUMBERS.unpack(found[TIMESTAMP]) if TIMESTAMP in found else (None, None)
    return Options(
        mss=int.from_bytes(found[MSS], "big") if MSS in found else None,
        # RFC 7323 2.3: a shift above 14 is to be used as 14; what was sent is kept here.
        wscale=found[WSCALE][0] if WSCALE in found else None,
        sack_ok=SACK_OK in found,
        sacks=blocks,
        tsval=tsval,
        tsecr=tsecr,
    )


LENGTHS = {MSS: 2, WSCALE: 1, SACK_OK: 0, TIMESTAMP: 8}  # of the value, without kind and length
