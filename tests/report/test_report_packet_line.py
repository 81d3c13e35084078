"""Packet lines: as `tcpdump -v -n` prints them, where it is installed; and by themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from io import BytesIO
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.packet.encode import MAC_DST, MAC_SRC, Frame, encode
from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Reader, Writer
from tcpharness.packet.segment import decode
from tcpharness.report.packet_line import PacketLines

TCPDUMP = shutil.which("tcpdump", path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
CONVERSATION = """\
    0.0 > S 1000:1000(0) win 64240 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>
    0.1 < S. 4294967290:4294967290(0) ack 1001 win 65160 <mss 1460,sackOK,TS val 5 ecr 1,nop,wscale 7>
    0.2 > . 1001:1001(0) ack 4294967291 win 502 <nop,nop,TS val 2 ecr 5>
    0.3 > P. 1001:1011(10) ack 4294967291 win 502 <nop,nop,TS val 3 ecr 5>
    0.4 < . 4294967291:4294967291(0) ack 1001 win 509 <nop,nop,sack 2 {1011:1021}{1031:1041}>
    0.5 < P. 4294967291:95(100) ack 1011 win 509
    0.6 < F. 95:95(0) ack 1011 win 509
    0.7 > R 1011:1011(0) win 0
    0.8 > SF 7:7(0) ack 9
    0.9 > none 7:7(0)
    1.0 > SFRP.UEW 7:17(10) ack 9 win 3 urg 5 [reserved 5]
    1.1 > . 5:5(0) ack 9 [cksum bad]
    1.2 > . 5:5(0) ack 9 [ip_cksum bad, tos 3, id 7, ttl 1, df off, mf on]
    1.3 > . 5:5(0) ack 9 [ip_cksum 0, tos 0xb9, ttl 0]
    1.4 > P. 5:1005(1000) ack 9 [snap 100]
    1.5 > P. 5:1005(1000) ack 9 <mss 1460,nop,nop,TS val 1 ecr 2> [snap 70]
    1.6 > . 5:5(0) ack 9 [offset 4]
    1.7 > . 5:5(0) ack 9 [offset 9]
    1.8 > P. 5:15(10) ack 9 [ip_len 70]
    2.0 fe80::1.40000 > fe80::2.105: S 7:7(0) <mss 1440> [tos 0x23]
    2.1 fe80::2.105 > fe80::1.40000: S. 7:7(0) ack 8 [cksum bad]
    2.2 10.0.0.9.7 > 10.0.0.9.7: . 100:110(10) ack 50
    2.3 10.0.0.9.7 > 10.0.0.9.7: . 110:120(10) ack 60 <nop,nop,sack 1 {70:80}>
    2.4 10.0.0.8.1 > 10.0.0.9.7: . 100:100(0) ack 50 <nop,nop,sack 1 {70:80}>
"""
# Options whole, cut short, too long, of the wrong length, of every Multipath TCP subtype.
OPTIONS = """
0204 020405 0204 05b4 0303 07 0302 0402 0403 0005 0502 0503 00 050a 0000000a 00000014 050b 0000000a
0000001400 080a 00000001 00000002 0809 0000000100000002 080c 00000001 00000002 0606 00000005 0706
00000005 0b06 00000009 0c06 00000009 0d06 00000009 1303 01 1312 000102030405060708090a0b0c0d0e0f 1404
0102 1402 1c04 8005 1c04 0005 1c03 01 1d02 1d04 0506 1d08 0506 aabbccdd 2202 2206 01020304 2205 010203
2214 000102030405060708090a0b0c0d0e0f1011 fd04 f989 fe02 fe04 f989 fe08 f989 01020304 fe07 f989 010203
fe04 1234 4606 deadbeef ae02 00 0100 01 1e02 1e03 00 1e04 0001 1e04 0181 1e0c 0001 0102030405060708 1e14
0001 01020304050607081112131415161718 1e16 0001 010203040506070811121314151617180010 1e0c 1005
0102030401020304 1e10 1105 010203040506070801020304 1e18 1000 000102030405060708090a0b0c0d0e0f10111213
1e08 2001 00000005 1e0c 2003 0000000000000005 1e04 2001 1e14 2005 00000005 00000006 00000007 0010 abcd
1e12 2005 00000005 00000006 00000007 0010 1e1a 201f 0000000000000005 0000000000000006 00000007 0010 1e08
3005 01020304 1e08 3105 01020304 1e08 3205 01020304 1e0a 4005 0607 0809 0a0b 1e08 3405 01020304 1e0a 3005
01020304 0050 1e10 3005 01020304 0102030405060708 1e14 3005 000102030405060708090a0b0c0d0e0f 1e03 40 1e03
50 1e04 5107 1e05 5107 00 1e0c 6000 0000000000000009 1e0b 6000 00000000000009 1e0c 7000 0102030405060708
1e03 70 1e04 8000 1e06 f000 0102
"""
IP_OPTIONS = ("94040000", "94041000", "01010100",
              "070704 01020304 00", "070708 01020304 00", "070705 01020304 00",
              "440c0500 0000000100000002", "440c0d01 0102030400000007", "8206 0000 0000 0000", "88040102",
              "0703 04 00",
              "ff 05 000000 000000")  # fmt: skip
PADDING = "00 0104 00000000"
EXTENSIONS = (
    [(0, PADDING)], [(60, PADDING)], [(0, PADDING), (60, PADDING)], [(44, "00 0001 00000007")],
    [(44, "00 0000 00000007")], [(43, "00 0000 00000000")], [(0, "00 0502 0000 0100")],
    [(43, "02 0001 00000000 fe80000000000000 0000000000000005")], [(60, "00 1e04 61626364")],
    [(51, "04 0000 00000001 00000002 000000000000000000000000")], [(0, "00 00000000 0100")],
)  # fmt: skip


def clock(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}"


def option_frames() -> list[bytes]:
    """One frame an option (given by its bytes), each with three sets of flags; and cut inside it."""
    words = re.findall(r"[0-9a-f]+", OPTIONS)
    options = [bytes.fromhex(word) for word in joined(words)]
    frames = []
    for option in options:
        filled = option + b"\1" * (-len(option) % 4)
        for flags in (0x02, 0x12, 0x10):
            frames.append(encode(Frame("10.0.0.1", "10.0.0.2", 4, 10105, 1, 1, flags, 9, options=filled)))
    return frames


def joined(words: list[str]) -> list[str]:
    """Words up to the length that an option's second byte gives; a lone kind by itself."""
    found: list[str] = []
    for word in words:
        if found and len(found[-1]) // 2 < int(found[-1][2:4] or "0", 16):
            found[-1] += word
        else:
            found.append(word)
    return found


def ip_option_frames() -> list[bytes]:
    frames = []
    for text in IP_OPTIONS:
        options = bytes.fromhex(text.replace(" ", ""))
        options += bytes(-len(options) % 4)
        whole = encode(Frame("10.0.0.1", "10.0.0.2", 4, 10105, 1, 1, 0x10, 9))
        head = bytearray(whole[14:34])
        head[0], head[2:4] = 0x45 + len(options) // 4, pack("!H", 40 + len(options))
        frames.append(whole[:14] + bytes(head) + options + whole[34:])
    return frames


def extension_frames() -> list[bytes]:
    """TCP behind IPv6 extension headers, by their bytes; the first of each is the next header."""
    whole = encode(Frame("fe80::1", "fe80::2", 4, 10105, 1, 1, 0x18, 9, payload=b"hello"))
    frames = []
    for chain in EXTENSIONS:
        kinds = [kind for kind, _ in chain] + [6]
        headers = b"".join(
            bytes([after]) + bytes.fromhex(text) for (_, text), after in zip(chain, kinds[1:], strict=True)
        )
        head = bytearray(whole[14:54])
        head[4:6], head[6] = pack("!H", len(headers) + 25), kinds[0]
        frames.append(whole[:14] + bytes(head) + headers + whole[54:])
    return frames


def flow_label_frame() -> bytes:
    whole = bytearray(encode(Frame("fe80::1", "fe80::2", 4, 10105, 1, 1, 0x10, 9)))
    whole[14:18] = pack("!I", 6 << 28 | 0xAC << 20 | 0x12345)
    return bytes(whole)


FRAMES = [parse_line(line).data for line in CONVERSATION.splitlines()]
FRAMES += [*option_frames(), *ip_option_frames(), *extension_frames(), flow_label_frame()]


def capture() -> bytes:
    file = BytesIO()
    writer = Writer(file, nano=False)
    for line in CONVERSATION.splitlines():
        segment = parse_line(line)
        writer.write(segment.time_ns, segment.data, segment.wire_len)
    for number, frame in enumerate(
        [*option_frames(), *ip_option_frames(), *extension_frames(), flow_label_frame()]
    ):
        writer.write(3_000_000_000 + number * 1_000_000, frame)
    cut = option_frames()[0]
    for size in range(54, len(cut)):
        writer.write(9_000_000_000, cut[:size], len(cut))
    return file.getvalue()


def ours(data: bytes) -> list[str]:
    lines = PacketLines(clock)
    frames = enumerate(Reader(BytesIO(data)), 1)
    return [
        lines.line(decode(f.data, f.linktype, time_ns=f.time_ns, frame=n, wire_len=f.wire_len))
        for n, f in frames
    ]


def as_compared(line: str) -> str:
    """How tcpdump closes a list of options that ends badly differs; it prints nothing after it."""
    return re.sub(r"(\[bad opt|\[\|\w+)\]?[]>]*(, length \d+)?$", r"\1]", line.rstrip())


@pytest.mark.skipif(TCPDUMP is None, reason="tcpdump is not installed")
def test_as_tcpdump_prints_them(tmp_path: Path) -> None:
    file = tmp_path / "all.pcap"
    file.write_bytes(capture())
    command = [str(TCPDUMP), "-v", "-n", "-r", str(file)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "TZ": "UTC"}, check=True)
    text = done.stdout.decode(errors="replace")
    theirs = re.split(r"\n(?=\d\d:\d\d:\d\d)", text.rstrip("\n"))
    mine = ours(capture())
    assert len(mine) > 250
    # What follows the length of a RST is its payload.
    assert [as_compared(line) for line in mine] == [
        as_compared(re.sub(r" \[RST\+? .*", "", line, flags=re.DOTALL)) for line in theirs
    ]


def test_lines(golden: object) -> None:
    golden("report_packet_lines", "\n".join(ours(capture())[:24]) + "\n")  # type: ignore[operator]


def test_what_is_not_tcp() -> None:
    arp = MAC_DST + MAC_SRC + b"\x08\x06" + bytes(28)
    udp = bytearray(encode(Frame("10.0.0.1", "10.0.0.2", 4, 5)))
    udp[23] = 17
    lines = PacketLines(clock)
    assert lines.line(decode(arp, time_ns=5_000)) == "00:00:00.000005 arp, length 42"
    first, second = lines.line(decode(bytes(udp))).split("\n")
    head = "00:00:00.000000 IP (tos 0x0, ttl 64, id 0, offset 0, flags [DF], proto UDP (17), length 40"
    assert first.startswith(head)
    assert second == "    10.0.0.1 > 10.0.0.2: udp"
    assert lines.line(decode(arp[:12] + b"\x08\x00\x45")) == "00:00:00.000000 IP, too short"


def test_first_numbers_are_kept_of_so_many_conversations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcpharness.report.packet_line.MOST_CONVERSATIONS", 2)
    lines = PacketLines(clock)
    said = []
    for port in (1, 2, 1, 3, 1, 2):
        frame = encode(Frame("10.0.0.1", "10.0.0.2", port, 5, 100, 100, 0x10, payload=b"x"))
        said.append("seq 0:1" in lines.line(decode(frame)))
    assert said == [False, False, True, False, False, False]


def test_a_length_of_zero_is_a_super_packet() -> None:
    whole = bytearray(encode(Frame("10.0.0.1", "10.0.0.2", 4, 5, flags=0x10, payload=bytes(2000))))
    whole[16:18] = b"\0\0"
    assert "proto TCP (6), length 2040 [was 0, presumed TSO]" in PacketLines(clock).line(decode(bytes(whole)))


@given(data=st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    frame = bytearray(data.draw(st.sampled_from(FRAMES)))
    for at, value in data.draw(st.lists(st.tuples(st.integers(12, 100), st.integers(0, 255)), max_size=8)):
        if at < len(frame):
            frame[at] = value
    kept = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    linktype = data.draw(st.sampled_from([1, 1, 1, 9, 101, 113, 127]))
    segment = decode(kept, linktype, wire_len=len(kept) + data.draw(st.integers(0, 50)))
    assert PacketLines(clock).line(segment).startswith("00:00:00.000000 ")
