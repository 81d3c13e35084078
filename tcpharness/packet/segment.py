# cython: wraparound=False
"""A captured frame as a segment: every header field in the project's one spelling, nothing thrown away.

Broken packets are our business: what can't be decoded leaves `malformed` with the reason, and what
could be read before is there. What is not TCP has `is_tcp` False and says in `kind` what it is.
Sequence numbers have their own arithmetic (RFC 9293 3.4): never compare them with `<`.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from tcpharness.packet.address import address_text, mac_text
from tcpharness.packet.ip import IpHeader, read_ip
from tcpharness.packet.link import ETHERNET, RAW_IP, SLL, read_link
from tcpharness.packet.sums import is_compiled

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))
FLAG_LETTERS = "FSRP.UEWe"  # tcpdump's, from bit 0 on

# RFC 9293 3.1, offsets in the TCP header.
SPORT, DPORT, SEQ, ACK_NUMBER, OFFSET_RESERVED, FLAGS, WINDOW, CKSUM, URGENT, OPTIONS = (
    0, 2, 4, 8, 12, 13, 14, 16, 18, 20,
)  # fmt: skip
TCP_HEADER, TCP_HEADER_LEN = Struct("!HHIIBBHHH"), 20
IPV4 = Struct("!xBHHHBBHII")  # all but version and length of the header
COMPILED = is_compiled()

EOL, NOP, MSS, WSCALE, SACK_OK, SACK, TIMESTAMP = 0, 1, 2, 3, 4, 5, 8
TWO_NUMBERS = Struct("!II")

SEQ_SPACE = 1 << 32
SEQ_HALF = 1 << 31
MASK = SEQ_SPACE - 1


def seq_add(seq: int, count: int) -> int:
    return (seq + count) & MASK


def seq_diff(a: int, b: int) -> int:
    """a - b as a signed number: how far a is ahead of b in the 32-bit circle."""
    return ((a - b + SEQ_HALF) & MASK) - SEQ_HALF


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


class Segment:
    """One frame. Ports, numbers and windows as on the wire; `win` is not scaled, `len` fields are bytes.

    Plain ints in a slots object, for it is filled once a packet (segment.pxd has their widths): what a
    segment does not have is -1 (`mss wscale tsval tsecr`). Texts and bytes are cut out when asked for.
    """

    __slots__ = (  # noqa: RUF023 (by subject)
        # the frame
        "time_ns", "frame", "wire_len", "cap_len", "data", "at", "ethertype", "vlans", "mac_at", "kind",
        "odd",
        # IP: `ip_len` is IPv4's total length or IPv6's payload length; `frag_offset` in bytes
        "version", "ip_at", "ip_header_len", "src_at", "src_high", "src_low", "dst_high", "dst_low", "ttl",
        "tos", "id", "df", "mf", "frag_offset", "pieces", "proto", "ip_len", "ip_cksum", "tunnel",
        # TCP: `offset` in 32-bit words; `end` is where the captured part ends in `data`; `tcp_len` is header
        # and payload, `payload_len` payload, both by the IP length, also when the capture holds less
        "is_tcp", "bare", "tcp_at", "payload_at", "end", "tcp_len", "payload_len", "next_seq", "whole",
        "malformed",
        "sport", "dport", "seq", "ack", "flags", "win", "cksum", "urg", "offset", "reserved",
        # its options
        "mss", "wscale", "sack_ok", "sack_at", "sack_count", "tsval", "tsecr",
    )  # fmt: skip

    def __init__(self, time_ns: int = 0, frame: int = 0) -> None:
        self.time_ns, self.frame = time_ns, frame  # frames count from 1 in their capture
        self.wire_len = self.cap_len = 0
        self.data = b""
        self.at = 0
        self.clear()

    def clear(self) -> None:
        """Nothing is known but the frame's bytes."""
        self.odd = False  # it has something to be cleared away before the next one
        self.ethertype, self.mac_at = 0, -1
        self.vlans: tuple[int, ...] = ()
        self.kind = ""  # of a frame that is not TCP: "arp", "udp", "icmp", "ethertype 0x88b5", ...
        self.version = self.ip_at = self.ip_header_len = 0
        self.src_at = -1
        self.src_high = self.src_low = self.dst_high = self.dst_low = 0
        self.ttl = self.tos = self.id = self.frag_offset = self.proto = self.ip_len = self.ip_cksum = 0
        self.df = self.mf = self.is_tcp = self.whole = False
        self.bare = False  # TCP as most of it is: no options but timestamps, nothing urgent, nothing reserved
        self.tunnel = ""  # what it was wrapped in: "vxlan", "gre", "ipip"
        self.pieces = 0  # IP fragments that it came in, when it was put together of them (fragments.py)
        self.tcp_at = self.payload_at = self.end = self.tcp_len = self.payload_len = 0
        self.malformed: str | None = None
        self.sport = self.dport = self.seq = self.ack = self.flags = self.win = self.cksum = self.urg = 0
        # What the segment ends before: seq and payload, SYN, FIN (RFC 9293 3.4 SEG.LEN)
        self.next_seq = self.offset = self.reserved = 0
        self.forget_options()

    def forget_options(self) -> None:
        self.mss = self.wscale = self.tsval = self.tsecr = -1
        self.sack_ok = False
        self.sack_at = self.sack_count = 0  # blocks of eight bytes in `data`

    @property
    def src_bytes(self) -> bytes:
        at = self.src_at
        return b"" if at < 0 else self.data[at : at + (4 if self.version == 4 else 16)]

    @property
    def dst_bytes(self) -> bytes:
        at = self.src_at
        if at < 0:
            return b""
        return self.data[at + 4 : at + 8] if self.version == 4 else self.data[at + 16 : at + 32]

    @property
    def src(self) -> str:
        return address_text(self.src_bytes) if self.src_at >= 0 else ""

    @property
    def dst(self) -> str:
        return address_text(self.dst_bytes) if self.src_at >= 0 else ""

    @property
    def src_mac(self) -> str:
        return "" if self.mac_at < 0 else mac_text(self.data[self.mac_at + 6 : self.mac_at + 12])

    @property
    def dst_mac(self) -> str:
        return "" if self.mac_at < 0 else mac_text(self.data[self.mac_at : self.mac_at + 6])

    @property
    def payload(self) -> bytes:
        return self.data[self.payload_at : self.end]

    @property
    def tcp_bytes(self) -> bytes:
        return self.data[self.tcp_at : self.end]

    @property
    def ip_header(self) -> bytes:
        """The IPv4 header with its options, b"" for IPv6."""
        return self.data[self.ip_at : self.ip_at + self.ip_header_len] if self.version == 4 else b""

    @property
    def ip_options(self) -> bytes:
        return self.ip_header[20:]

    @property
    def options(self) -> tuple[tuple[int, bytes], ...]:
        """The TCP options in order as (kind, value); what is left after a malformed one is not there."""
        return tuple(read_options(self.data[self.tcp_at + OPTIONS : self.payload_at])[0])

    @property
    def sacks(self) -> tuple[tuple[int, int], ...]:
        """The blocks of the SACK option (RFC 2018 3), (left, right) each."""
        return tuple((self.sack_left(n), self.sack_right(n)) for n in range(self.sack_count))

    def sack_left(self, number: int) -> int:
        return four_bytes(self.data, self.sack_at + 8 * number)

    def sack_right(self, number: int) -> int:
        return four_bytes(self.data, self.sack_at + 8 * number + 4)


def decode(
    data: bytes, linktype: int = 1, *, time_ns: int = 0, frame: int = 0, wire_len: int | None = None
) -> Segment:
    """Any captured frame; `wire_len` is its length before snapping. Never raises."""
    segment = Segment(time_ns, frame)
    data = bytes(data)
    segment.wire_len = len(data) if wire_len is None else wire_len
    read_frame(segment, data, 0, len(data), linktype)
    return segment


# --- the hot path: one call a frame ----------------------------------------------------------------


def read_frame(segment: Segment, data: bytes, at: int, stop: int, linktype: int) -> None:  # noqa: C901 (hot)
    """Fills the segment from data[at:stop], whose time, number and wire_len it has already.

    Every read is guarded by `stop`: what follows in `data` belongs to the next frame.
    """
    if at < 0 or stop > len(data):
        raise IndexError(f"{at}:{stop} of {len(data)} bytes")
    segment.cap_len = stop - at
    if segment.odd:
        segment.clear()
    segment.forget_options()
    segment.data, segment.at = data, at
    octets = data  # in C the bytes themselves, of which those up to `stop` are the frame's
    ip_at = -1
    if linktype == ETHERNET:
        if stop - at > 34:
            ip_at, ethertype = at + 14, octets[at + 12] << 8 | octets[at + 13]
            segment.mac_at = at
    elif linktype == SLL:
        if stop - at > 36:
            ip_at, ethertype = at + 16, octets[at + 14] << 8 | octets[at + 15]
            segment.mac_at = -1
    elif linktype == RAW_IP and stop - at > 20:
        ip_at, ethertype = at, 0x0800 if octets[at] == 0x45 else 0
        segment.mac_at = -1
    if ip_at >= 0:
        segment.ethertype = ethertype
        if ethertype == 0x0800 and octets[ip_at] == 0x45 and read_plain_ipv4(segment, data, ip_at, stop):
            return
        if ethertype == 0x86DD and stop - ip_at >= 40 and read_plain_ipv6(segment, data, ip_at, stop):
            return
    read_any(segment, data[at:stop], linktype)


def read_plain_ipv4(segment: Segment, data: bytes, at: int, stop: int) -> bool:
    """TCP in IPv4 without options and fragments, with lengths that fit; False: anything else."""
    if stop - at < 40:
        return False
    octets = data
    if COMPILED:
        length, fragment = octets[at + 2] << 8 | octets[at + 3], octets[at + 6] << 8 | octets[at + 7]
        tos, ttl, proto = octets[at + 1], octets[at + 8], octets[at + 9]
        number, cksum = octets[at + 4] << 8 | octets[at + 5], octets[at + 10] << 8 | octets[at + 11]
        # Halves first, in 64 bits: in C a byte times 2 ** 24 would overflow.
        high, low = octets[at + 12] << 8 | octets[at + 13], octets[at + 14] << 8 | octets[at + 15]
        src = high << 16 | low
        high, low = octets[at + 16] << 8 | octets[at + 17], octets[at + 18] << 8 | octets[at + 19]
        dst = high << 16 | low
    else:  # the same in one step of the interpreter
        tos, length, number, fragment, ttl, proto, cksum, src, dst = IPV4.unpack_from(data, at)
    if proto != 6 or length < 40 or fragment & 0x3FFF or at + length - segment.at > segment.wire_len:
        return False
    segment.version, segment.ip_at, segment.ip_header_len, segment.src_at = 4, at, 20, at + 12
    segment.tos, segment.ip_len, segment.ttl, segment.proto = tos, length, ttl, 6
    segment.df, segment.mf, segment.frag_offset = fragment & 0x4000 != 0, False, 0
    segment.src_high = segment.dst_high = 0
    segment.id, segment.ip_cksum, segment.src_low, segment.dst_low = number, cksum, src, dst
    segment.tcp_at, segment.tcp_len = at + 20, length - 20
    segment.end = stop if stop < at + length else at + length
    read_tcp(segment)
    return True


def read_plain_ipv6(segment: Segment, data: bytes, at: int, stop: int) -> bool:
    """TCP right behind the IPv6 header, with lengths that fit; False: anything else."""
    length = data[at + 4] << 8 | data[at + 5]
    if (
        data[at + 6] != 6
        or data[at] >> 4 != 6
        or length < 20
        or stop - at < 60
        or at + 40 + length - segment.at > segment.wire_len
    ):
        return False
    segment.version, segment.ip_at, segment.ip_header_len, segment.src_at = 6, at, 40, at + 8
    segment.tos = (data[at] << 4 | data[at + 1] >> 4) & 0xFF
    segment.ip_len, segment.ttl, segment.proto = length, data[at + 7], 6
    segment.id = segment.ip_cksum = segment.frag_offset = 0
    segment.df, segment.mf = True, False  # RFC 8200 5: routers never fragment
    segment.src_high, segment.src_low = eight_bytes(data, at + 8), eight_bytes(data, at + 16)
    segment.dst_high, segment.dst_low = eight_bytes(data, at + 24), eight_bytes(data, at + 32)
    segment.tcp_at, segment.tcp_len = at + 40, length
    segment.end = stop if stop < at + 40 + length else at + 40 + length
    read_tcp(segment)
    return True


def eight_bytes(data: bytes, at: int) -> int:
    """As a signed number: it only has to be the same for the same bytes."""
    high = four_bytes(data, at)
    return (high if high < SEQ_HALF else high - MASK - 1) * (MASK + 1) + four_bytes(data, at + 4)


def read_tcp(segment: Segment) -> None:
    """The TCP header at `tcp_at`, of which at least 20 bytes are there, and its options."""
    data, at, end = segment.data, segment.tcp_at, segment.end
    if at < 0 or at + 20 > end or end > len(data):
        raise IndexError(f"{at}:{end} of {len(data)} bytes")
    octets = data  # in C the bytes themselves: one guard for the header instead of one a byte
    segment.is_tcp = True
    if COMPILED:
        segment.sport, segment.dport = octets[at] << 8 | octets[at + 1], octets[at + 2] << 8 | octets[at + 3]
        high, low = octets[at + 4] << 8 | octets[at + 5], octets[at + 6] << 8 | octets[at + 7]
        segment.seq = high << 16 | low
        high, low = octets[at + 8] << 8 | octets[at + 9], octets[at + 10] << 8 | octets[at + 11]
        segment.ack = high << 16 | low
        words, flags = octets[at + 12], octets[at + 13]
        segment.win = octets[at + 14] << 8 | octets[at + 15]
        segment.cksum = octets[at + 16] << 8 | octets[at + 17]
        segment.urg = octets[at + 18] << 8 | octets[at + 19]
    else:  # the same in one step of the interpreter
        (segment.sport, segment.dport, segment.seq, segment.ack, words, flags, segment.win, segment.cksum,
         segment.urg) = TCP_HEADER.unpack_from(data, at)  # fmt: skip
    segment.offset, segment.reserved = words >> 4, words >> 1 & 7
    segment.flags = flags = flags | (words & 1) << 8
    segment.whole = end - at == segment.tcp_len
    header_len = segment.offset * 4
    payload_at = at + header_len if header_len > 20 else at + 20
    segment.payload_at = payload_at if payload_at < end else end
    segment.payload_len = 0
    segment.bare = False
    if header_len < 20:
        segment.odd, segment.malformed = True, f"data offset {segment.offset} is below 5 (RFC 9293 3.1)"
    elif header_len > segment.tcp_len:
        segment.odd = True
        segment.malformed = f"data offset {segment.offset} points past the segment of {segment.tcp_len} bytes"
    else:
        segment.payload_len = segment.tcp_len - header_len
    segment.next_seq = (segment.seq + segment.payload_len + (flags & 1) + (flags >> 1 & 1)) & MASK
    if header_len == 20:
        segment.bare = not segment.urg | segment.reserved
        return
    # nop, nop, timestamp: what nearly every segment carries first
    if (
        header_len >= 32
        and segment.payload_at - at >= 32
        and octets[at + 20] == 1
        and octets[at + 21] == 1
        and octets[at + 22] == 8
        and octets[at + 23] == 10
    ):
        if COMPILED:
            high, low = octets[at + 24] << 8 | octets[at + 25], octets[at + 26] << 8 | octets[at + 27]
            segment.tsval = high << 16 | low
            high, low = octets[at + 28] << 8 | octets[at + 29], octets[at + 30] << 8 | octets[at + 31]
            segment.tsecr = high << 16 | low
        else:
            segment.tsval, segment.tsecr = TWO_NUMBERS.unpack_from(data, at + 24)
        if header_len == 32:
            segment.bare = not segment.urg | segment.reserved
        else:
            take_options(segment, at + 32, segment.payload_at < at + header_len)
    elif header_len > 20:
        take_options(segment, at + 20, segment.payload_at < at + header_len)


def take_options(segment: Segment, at: int, cut: bool) -> None:
    """What the options from `at` to `payload_at` say; one of a wrong length says nothing."""
    data, stop = segment.data, segment.payload_at
    while at < stop:
        kind = data[at]
        if kind == 0:
            return
        if kind == 1:
            at += 1
            continue
        length = data[at + 1] if at + 1 < stop else 0
        if length < 2 or at + length > stop:
            if not cut and segment.malformed is None:
                segment.odd, segment.malformed = True, wrong_option(kind, length)
            return
        take_option(segment, data, kind, length, at + 2)
        at += length


def take_option(segment: Segment, data: bytes, kind: int, length: int, at: int) -> None:
    if kind == 8 and length == 10:
        segment.tsval = four_bytes(data, at)
        segment.tsecr = four_bytes(data, at + 4)
    elif kind == 5:
        segment.sack_at, segment.sack_count = at, (length - 2) >> 3
    elif kind == 2 and length == 4:
        segment.mss = data[at] << 8 | data[at + 1]
    elif kind == 3 and length == 3:
        # RFC 7323 2.3: a shift above 14 is to be used as 14; what was sent is kept here.
        segment.wscale = data[at]
    elif kind == 4 and length == 2:
        segment.sack_ok = True


def four_bytes(data: bytes, at: int) -> int:
    if not COMPILED:
        return int.from_bytes(data[at : at + 4], "big")
    if at < 0 or at + 4 > len(data):
        raise IndexError(f"{at}:{at + 4} of {len(data)} bytes")
    octets = data
    high, low = octets[at] << 8 | octets[at + 1], octets[at + 2] << 8 | octets[at + 3]
    return high << 16 | low


def wrong_option(kind: int, length: int) -> str:
    if length < 2:
        return f"option {kind} has length {length}; the least is 2"
    return f"option {kind} of {length} bytes runs past the header"


# --- every other frame ------------------------------------------------------------------------------


def read_any(segment: Segment, data: bytes, linktype: int) -> None:
    """VLANs, tunnels, IP options, extension headers, short and broken frames, and what is not TCP."""
    segment.clear()
    segment.odd = True
    segment.data, segment.at = data, 0
    link = read_link(data, linktype)
    segment.ethertype, segment.vlans = link.ethertype, link.vlans
    if link.dst_mac:
        segment.mac_at = 0
    if not link.is_ip:
        segment.kind = link.kind
        if link.kind == "short frame":
            segment.malformed = "the frame ends inside its link header"
        return
    header = read_ip(data, link.at, segment.wire_len)
    take_ip(segment, header)
    if header.proto != 6 or header.frag_offset or header.fatal:
        segment.kind = header.kind
    elif segment.end - segment.tcp_at < TCP_HEADER_LEN:
        segment.kind = "short tcp"
        if segment.tcp_len < TCP_HEADER_LEN and not segment.mf:
            segment.malformed = f"TCP in {segment.tcp_len} bytes; its header alone takes 20"
    else:
        broken = segment.malformed
        read_tcp(segment)
        segment.bare = segment.bare and not broken
        # The rest of a first fragment's header and options may be in the next one.
        split = segment.mf and segment.offset >= 5
        segment.malformed = broken or (None if split else segment.malformed)


def take_ip(segment: Segment, header: IpHeader) -> None:
    segment.version, segment.ip_at, segment.tunnel = header.version, header.at, header.tunnel
    if header.src:
        segment.src_at = header.at + (12 if header.version == 4 else 8)
        segment.src_high, segment.src_low = halves(header.src)
        segment.dst_high, segment.dst_low = halves(header.dst)
    segment.ip_header_len = 20 + len(header.options) if header.version == 4 else 40
    segment.ttl, segment.tos, segment.id = header.ttl, header.tos, header.id
    segment.df, segment.mf, segment.frag_offset = header.df, header.mf, header.frag_offset
    segment.proto, segment.ip_len, segment.ip_cksum = header.proto, header.ip_len, header.cksum
    segment.malformed = header.malformed
    segment.tcp_at, segment.end, segment.tcp_len = header.next_at, header.end, header.next_len


def halves(address: bytes) -> tuple[int, int]:
    """An address as two numbers of 64 bits, as the hot path has them."""
    if len(address) == 4:
        return 0, int.from_bytes(address, "big")
    return int.from_bytes(address[:8], "big", signed=True), int.from_bytes(address[8:], "big", signed=True)


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
