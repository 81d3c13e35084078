"""What the corpus is made of: small captures of all that readers, decoder and analysis tell apart.

`python tests/fuzz/fuzz_corpus.py` writes tests/fuzz/corpus again, byte for byte.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from struct import pack

from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Writer

CORPUS = Path(__file__).parent / "corpus"
START_NS = 1_700_000_000_000_000_000
SYN = "mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7"

# Every story is a connection in the one-line notation.
STORIES = {
    "whole": f"""
        0.000 > S 0:0(0) win 64240 <{SYN}>
        0.010 < S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 900 ecr 100,nop,wscale 7>
        0.020 > . 1:1(0) ack 1 win 502 <nop,nop,TS val 120 ecr 900>
        0.021 > P. 1:101(100) ack 1 win 502 <nop,nop,TS val 121 ecr 900>
        0.031 < . 1:1(0) ack 101 win 509 <nop,nop,TS val 911 ecr 121>
        0.032 < P. 1:301(300) ack 101 win 509 <nop,nop,TS val 912 ecr 121>
        0.042 > F. 101:101(0) ack 301 win 501 <nop,nop,TS val 142 ecr 912>
        0.052 < F. 301:301(0) ack 102 win 509 <nop,nop,TS val 932 ecr 142>
        0.062 > . 102:102(0) ack 302 win 501 <nop,nop,TS val 162 ecr 932>""",
    "loss": f"""
        0.000 > S 4294967200:4294967200(0) win 64240 <{SYN}>
        0.010 < S. 0:0(0) ack 4294967201 win 65160 <mss 1460,sackOK,nop,nop>
        0.020 > . 4294967201:4294967201(0) ack 1 win 502
        0.021 > . 4294967201:5(100) ack 1 win 502
        0.022 > . 105:205(100) ack 1 win 502
        0.023 > . 205:305(100) ack 1 win 502
        0.024 > P. 305:405(100) ack 1 win 502
        0.032 < . 1:1(0) ack 5 win 502 <nop,nop,sack 1 {{105:205}}>
        0.033 < . 1:1(0) ack 5 win 502 <nop,nop,sack 1 {{105:305}}>
        0.034 < . 1:1(0) ack 5 win 502 <nop,nop,sack 2 {{105:405}}{{1:2}}>
        0.035 > . 5:105(100) ack 1 win 502
        0.300 > . 5:105(100) ack 1 win 502
        0.301 < . 1:1(0) ack 405 win 502 <nop,nop,sack 1 {{5:105}}>
        0.900 > P. 405:415(10) ack 1 win 502
        1.100 > P. 405:415(10) ack 1 win 502
        1.500 > P. 405:415(10) ack 1 win 502""",
    "windows": f"""
        0.000 > S 0:0(0) win 64240 <{SYN}>
        0.010 < S. 0:0(0) ack 1 win 1000 <mss 500>
        0.020 > . 1:1(0) ack 1 win 502
        0.021 > . 1:501(500) ack 1 win 502
        0.022 > . 501:1001(500) ack 1 win 502
        0.030 < . 1:1(0) ack 1001 win 0
        0.400 > . 1000:1000(0) ack 1 win 502
        0.401 < . 1:1(0) ack 1001 win 0
        0.800 > . 1001:1002(1) ack 1 win 502
        0.900 < . 1:1(0) ack 1001 win 400
        1.000 < . 1:1(0) ack 1001 win 100
        9.000 > . 1000:1000(0) ack 1 win 502
        9.010 < R 1:1(0) win 0""",
    "resets": """
        0.000 > S 0:0(0) win 64240
        0.001 < R. 0:0(0) ack 1 win 0 [ttl 3, id 7]
        0.100 > S 1000:1000(0) win 64240 <mss 1460>
        0.101 < S. 5000:5000(0) ack 1001 win 64240 <mss 1460>
        0.102 > . 1001:1001(0) ack 5001 win 64240
        0.103 < R 70000:70000(0) win 0 [ttl 200]
        0.104 > P. 1001:1011(10) ack 5001 win 64240 [tos 3]
        0.105 < . 5001:5001(0) ack 1011 win 64240
        0.106 > S 9:9(0) win 100
        0.107 < . 5001:5001(0) ack 1011 win 64240
        0.108 > none 0:0(0) win 0
        0.109 > FSRP.UEW 1:1(0) ack 1 win 0 urg 3""",
    "odd": """
        0.000 > P. 1:1001(1000) ack 1 [mf, df off]
        0.001 > P. 1:101(100) ack 1 [cksum bad]
        0.002 > P. 1:101(100) ack 1
        0.003 > P. 1:101(100) ack 1 [payload "other bytes"]
        0.004 > P. 101:201(100) ack 1 [snap 60]
        0.005 > P. 201:301(100) ack 1 [offset 15]
        0.006 > P. 201:301(100) ack 1 [offset 3]
        0.007 > P. 301:401(100) ack 1 [ip_len 30]
        0.008 > P. 301:401(100) ack 1 [ip_len 0]
        0.009 > P. 401:501(100) ack 1 <nop,unknown-253 0x0102,eol> [ip_cksum bad]
        0.010 > P. 501:601(100) ack 1 [cksum offload]""",
}  # fmt: skip

V4 = encode(Frame("10.0.0.1", "10.0.0.2", 40000, 105, seq=7, flags=0x18, ack=9, payload=b"abc"))
V6 = encode(Frame("fd00::1", "fd00::2", 40000, 105, seq=7, flags=0x18, ack=9, payload=b"abc"))
MACS, IP4, IP6 = V4[:12], V4[14:], V6[14:]


def pcap(frames: Iterable[tuple[int, bytes]], linktype: int = 1, *, nano: bool = True) -> bytes:
    file = BytesIO()
    writer = Writer(file, linktype, nano=nano)
    for time_ns, data in frames:
        writer.write(time_ns, data)
    return file.getvalue()


def story(text: str) -> bytes:
    file = BytesIO()
    writer = Writer(file)
    for line in text.strip().splitlines():
        segment = parse_line(line)
        writer.write(START_NS + segment.time_ns, segment.data, segment.wire_len)
    return file.getvalue()


def big_endian(data: bytes) -> bytes:
    """A little-endian pcap of nanoseconds as a big-endian one of microseconds."""
    found = b"\xa1\xb2\xc3\xd4" + pack(">HHiIII", 2, 4, 0, 0, 65535, 1)
    at = 24
    while at < len(data):
        seconds, rest, held, wire = (
            int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4, 8, 12)
        )
        found += pack(">IIII", seconds, rest // 1000, held, wire) + data[at + 16 : at + 16 + held]
        at += 16 + held
    return found


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    return pack(order + "II", kind, len(body) + 12) + body + pack(order + "I", len(body) + 12)


def option(order: str, code: int, value: bytes) -> bytes:
    return pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def pcapng(order: str) -> bytes:
    """Three interfaces with clocks of their own, every kind of packet block, statistics, two sections."""
    nano = option(order, 9, b"\x09")
    binary = option(order, 9, b"\x94") + option(order, 14, pack(order + "q", 100))
    slow = option(order, 9, b"\0") + option(order, 14, pack(order + "q", -5))
    begin = block(order, 0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    faces = [(1, nano), (101, binary), (1, slow)]
    packets = [(0, START_NS, V4), (1, 1 << 40, IP6), (2, 1_700_000_000, V6)]
    body = begin
    for linktype, options in faces:
        body += block(order, 1, pack(order + "HHI", linktype, 0, 0) + options)
    for number, ticks, data in packets:
        head = pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        padded = data + b"\0" * (-len(data) % 4)
        body += block(order, 6, head + padded + option(order, 4, pack(order + "Q", 2)))
    body += block(order, 3, pack(order + "I", len(V4)) + V4)
    body += block(order, 2, pack(order + "HHIIII", 0, 3, 0, 7, len(V4), len(V4)) + V4)
    body += block(order, 4, b"\0" * 8)
    body += block(order, 5, pack(order + "III", 0, 0, 0) + option(order, 7, pack(order + "Q", 9)))
    return body + begin


def ipv4(proto: int, body: bytes, bits: int = 0x4000, number: int = 1) -> bytes:
    head = pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number, bits, 64, proto, 0)
    return head + b"\x0a\0\0\x09\x0a\0\0\x08" + body


def ipv6(first: int, body: bytes) -> bytes:
    return IP6[:4] + pack("!HB", len(body), first) + IP6[7:40] + body


def fragments() -> list[bytes]:
    """A TCP segment of 120 bytes in three pieces, over IPv4 and over IPv6."""
    tcp4 = encode(Frame("10.0.0.9", "10.0.0.8", 40000, 105, seq=1, flags=0x18, payload=b"z" * 100))[34:]
    tcp6 = encode(Frame("fd00::1", "fd00::2", 40000, 105, seq=1, flags=0x18, payload=b"z" * 100))[54:]
    found = []
    for at in (0, 40, 80):
        more = at < 80
        found.append(MACS + b"\x08\0" + ipv4(6, tcp4[at : at + 40], more << 13 | at // 8, 77))
        piece = pack("!BBHI", 6, 0, at | more, 99) + tcp6[at : at + 40]
        found.append(MACS + b"\x86\xdd" + ipv6(44, piece))
    return found


def udp(port: int, payload: bytes) -> bytes:
    return ipv4(17, pack("!HHHH", 5555, port, 8 + len(payload), 0) + payload)


LINKS: dict[str, tuple[int, list[bytes]]] = {
    "ethernet": (1, [
        V4, V6,
        MACS + b"\x81\x00\x00\x05\x08\x00" + IP4,
        MACS + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x86\xdd" + IP6,
        MACS + b"\x88\x64\x11\x00\x00\x01\x00\x40\x00\x21" + IP4,
        MACS + b"\x08\x06" + b"\0" * 28, MACS + b"\x00\x20" + b"\0" * 32, MACS + b"\x88\xb5tcpharness x",
        *fragments(),
    ]),
    "cooked": (113, [b"\0\0\0\1\0\6\2\0\0\0\0\1\0\0\x08\x00" + IP4]),
    "cooked2": (276, [
        b"\x08\x00\0\0\0\0\0\2\0\1\0\6\2\0\0\0\0\1\0\0" + IP4,
        b"\x81\x00\0\0\0\0\0\2\0\1\0\6\2\0\0\0\0\1\0\0\x00\x05\x08\x00" + IP4,
    ]),
    "raw": (101, [
        IP4, IP6,
        ipv6(0, bytes((6, 0, 1, 4, 0, 0, 0, 0)) + IP6[40:]),
        ipv6(43, b"\x3c" + b"\0" * 7 + bytes((6, 0, 1, 4)) + b"\0" * 4 + IP6[40:]),
        ipv6(51, bytes((6, 4)) + b"\0" * 22 + IP6[40:]),
        ipv4(4, IP4), ipv4(41, IP6), ipv4(47, b"\x20\0\x08\0\0\0\0\1" + IP4), ipv4(47, b"\0\0\x65\x58" + V4),
        udp(4789, b"\x08\0\0\0\0\0\1\0" + V4), udp(6081, b"\x01\0\x65\x58\0\0\1\0\0\0\0\0" + V6),
        udp(53, b"x" * 20), ipv4(1, b"\3\4\0\0\0\0\5\0" + IP4),
        b"\x4f\0" + pack("!H", 60 + len(IP4) - 20) + IP4[4:20] + b"\1" * 40 + IP4[20:],
    ]),
    "null": (0, [b"\2\0\0\0" + IP4, b"\0\0\0\2" + IP4]),
    "loop": (108, [b"\0\0\0\x1e" + IP6]),
    "unknown": (105, [b"\0" * 40]),
}  # fmt: skip


def corpus() -> dict[str, bytes]:
    """Name -> contents of every file."""
    found = {f"story_{name}.pcap": story(text) for name, text in STORIES.items()}
    for name, (linktype, frames) in LINKS.items():
        found[f"link_{name}.pcap"] = pcap(((START_NS + n * 1000, f) for n, f in enumerate(frames)), linktype)
    found["micro_big.pcap"] = big_endian(found["story_whole.pcap"])
    found["little.pcapng"], found["big.pcapng"] = pcapng("<"), pcapng(">")
    found["two_sections.pcapng"] = pcapng("<") + pcapng(">")
    found["whole.pcap.gz"] = gzip.compress(found["story_whole.pcap"], mtime=0)
    found["empty"] = b""
    found["cut.pcap"] = found["story_whole.pcap"][:-20]
    return found


def contents() -> list[bytes]:
    """Of every file that is there, in order of their names: also of those that were put there by hand."""
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    for name, data in corpus().items():
        (CORPUS / name).write_bytes(data)
