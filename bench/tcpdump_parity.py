"""Our packet lines beside those of the real `tcpdump -v -n -r`, field by field, over captures.

    bench/tcpdump_parity FOLDER... [--show N]

Compared: TCP packets of captures that tcpdump reads; what its dissectors say of a payload is left out.
Printed: for each field, how often both say the same and how often not; and the differences, by kind.
Exit status: 0 no difference, 1 differences, 3 no tcpdump.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from tcpharness.packet.pcap import Reader
from tcpharness.packet.segment import AE, Segment, decode
from tcpharness.report.packet_line import PacketLines

START = re.compile(r"^ *(\d+)  (\d\d:\d\d:\d\d\.\d{6}) ", re.MULTILINE)
# One field a name, as both print it; what is not there is not there in both.
FIELDS = {
    "tos": r"\(tos (0x[0-9a-f]+(?:,[A-Z0-9()]+)?),",
    "ttl": r"\bttl (\d+),",
    "id": r"\bid (\d+), offset",
    "offset": r"\boffset (\d+), flags",
    "ip flags": r", flags \[([^\]]*)\], proto",
    "proto": r"\bproto ([^(]+ (?:\(old\) )?\(\d+\)), length",
    "ip length": r", proto [^,]*, length (\d+(?: \[[^\]]*\])?)",
    "ip options": r"\boptions \((.*)\)(?:, bad|\)\n)",
    "ip cksum": r"\bbad cksum (\w+ \(->\w+\))!",
    "missing bytes": r"\btruncated-ip6? - (\d+) bytes missing",
    "class": r"\(class (\w+),",
    "flowlabel": r"\bflowlabel (\w+),",
    "hlim": r"\bhlim (\d+),",
    "next-header": r"\bnext-header ([^(]+ (?:\(old\) )?\(\d+\))",
    "payload length": r"\bpayload length: (\d+)",
    "from and to": r"(\S+\.\d+ > \S+\.\d+|\S+ > \S+: (?=[A-Zf]).*? \d+ > \d+): (?:Flags| tcp)",
    "flags": r": Flags \[([^\]]*)\]",
    "cksum": r"\bcksum (0x\w+ \([^)]*\))",
    "seq": r", seq ([\d:]+)",
    "ack": r"[,\]] ack (\d+)(?:,|$)",
    "win": r", win (\d+)",
    "urg": r", urg (\d+)",
    "options": r", win \d+(?:, urg \d+)?, options \[(.*?)(?:\](?=, length|$)|$)",
    "length": r": Flags.*, length (\d+)(?![^\n]*Flags)",
    "bad header": r"(\[bad hdr length[^\]]*\])",
}
PATTERNS = {name: re.compile(pattern) for name, pattern in FIELDS.items()}


@dataclass(slots=True)
class Comparison:
    """What came out over all captures."""

    files: int = 0
    packets: int = 0
    others: int = 0  # packets of which only the IP header is compared
    same: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    only: Counter[str] = field(default_factory=Counter)  # TCP for one of the two only, and why
    examples: dict[str, list[str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    explained: Counter[str] = field(default_factory=Counter)
    knows_ae: bool = True  # tcpdump prints the ninth flag from version 5 on

    def example(self, kind: str, text: str) -> None:
        self.examples.setdefault(kind, []).append(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/tcpdump_parity", description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--show", type=int, default=3, metavar="N", help="examples of each kind (default: 3)")
    args = parser.parse_args()
    program = shutil.which("tcpdump", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        print("tcpdump is not installed", file=sys.stderr)
        return 3
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = Comparison(knows_ae="tcpdump version 4." not in said.stdout + said.stderr)
    for path in captures(args.folders):
        compare_file(path, program, found)
    show(found, args.show)
    return 1 if found.different or found.only else 0


def captures(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
        yield from (p for p in paths if p.suffix in (".pcap", ".pcapng", ".cap"))


def compare_file(path: Path, program: str, found: Comparison) -> None:
    theirs = printed(path, program)
    if not theirs:
        found.unread.append(str(path))
        return
    found.files += 1
    lines = PacketLines(clock)
    with path.open("rb") as file:
        snaplen = snaplen_of(file)
        for number, frame in enumerate(Reader(file), 1):
            segment = decode(frame.data, frame.linktype, time_ns=frame.time_ns, wire_len=frame.wire_len)
            ours, other = lines.line(segment), theirs.get(number, "")
            if number > len(theirs):
                found.explained["after the frame at which tcpdump stopped reading (another link type)"] += 1
                continue
            if len(frame.data) > snaplen:
                found.explained["a record longer than its file's snaplen, which tcpdump cuts"] += 1
                continue
            compare(f"{path}:{number}", segment, ours, other, found)


def snaplen_of(file: BinaryIO) -> int:
    """The file header's; of pcapng, which has one an interface, none."""
    head = file.read(24)
    file.seek(0)
    order: Literal["little", "big"] = "big" if head[:1] == b"\xa1" else "little"
    return int.from_bytes(head[16:20], order) if head[:4] != b"\n\r\r\n" else 1 << 31


def printed(path: Path, program: str) -> dict[int, str]:
    """tcpdump's text by the number of the packet; lines that its payload dissectors add included."""
    command = [program, "-#", "-v", "-n", "-r", str(path)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "TZ": "UTC"}, check=False)
    text = done.stdout.decode(errors="replace")
    starts = list(START.finditer(text))
    blocks: dict[int, str] = {}
    for start, after in zip(starts, [*starts[1:], None], strict=False):
        number = int(start[1])
        if number == len(blocks) + 1:  # anything else is payload that looks like a beginning
            blocks[number] = text[start.start(2) : after.start() if after else len(text)]
    return blocks


def clock(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}"


def compare(place: str, segment: Segment, ours: str, theirs: str, found: Comparison) -> None:
    tcp = re.search(r": Flags \[[^\]]*\](?:, cksum|, seq|, ack|, win| \[bad)|: +tcp \d+ \[bad", theirs)
    if segment.is_tcp and not segment.ip_len and ("IP bad-len 0" in theirs or "[|tcp]" in theirs):
        found.explained["IP length 0: read as a super-packet here, given up by tcpdump 4.99.3"] += 1
        return
    if tcp and not segment.is_tcp and (why := why_not_tcp(segment)):
        found.explained[why] += 1
        return
    if not segment.is_tcp or not tcp:
        if segment.is_tcp or tcp:
            why = "TCP for us alone" if segment.is_tcp else f"TCP for tcpdump alone: here {segment.kind}"
            found.only[why] += 1
            found.example(why, f"{place}\n    {ours}\n    {theirs[:300].rstrip()}")
        else:
            compare_ip(place, ours, theirs, found)
        return
    found.packets += 1
    mine, other = fields(ours), fields(innermost(theirs, tcp.start()))
    if segment.flags & AE and "flags" in mine and not found.knows_ae:
        mine["flags"] = mine["flags"].replace("e", "") or "none"
        found.explained["the flag AE, which tcpdump prints from version 5 on"] += 1
    tell(place, mine, other, found)


def why_not_tcp(segment: Segment) -> str:
    """The reason, where tcpdump prints a TCP header and there is none for us; empty: a difference."""
    if segment.kind in ("icmp", "icmpv6"):
        return "an ICMP error, whose quoted segment tcpdump prints"
    if segment.kind.startswith("linktype "):
        return f"{segment.kind}, not read here"
    return ""


def tell(place: str, mine: dict[str, str], other: dict[str, str], found: Comparison) -> None:
    # Where tcpdump gives up on an option it prints nothing more; we print the rest.
    given_up = theirs_ends(other)
    for name in FIELDS:
        if (name not in mine and name not in other) or (name == "length" and given_up):
            continue
        if mine.get(name) == other.get(name):
            found.same[name] += 1
            continue
        found.different[name] += 1
        found.example(name, f"{place}: we {mine.get(name)!r}, tcpdump {other.get(name)!r}")


def compare_ip(place: str, ours: str, theirs: str, found: Comparison) -> None:
    """The IP header of a packet that is no TCP, or of a later fragment: the outermost one of a tunnel."""
    head = re.compile(r"IP6? (?:truncated-ip6? - \d+ bytes missing! ?)?\(")
    mine, other = head.search(ours), head.search(theirs)
    if not mine or not other:
        return  # not IP, or IP that one of the two can't read: no field to compare
    found.others += 1
    tell(place, fields(header_of(ours[mine.start() :])), fields(header_of(theirs[other.start() :])), found)


def header_of(text: str) -> str:
    """The IP header's line; IPv6 has what follows on the same one."""
    if text.startswith("IP "):
        return text.split("\n")[0] + "\n"
    return text[: text.find(")", text.find("payload length"))]


def theirs_ends(other: dict[str, str]) -> bool:
    return "length" not in other and other.get("options", "").endswith(("[bad opt]", "[|]"))


def innermost(text: str, tcp_at: int) -> str:
    """From the IP header right before the TCP header on, to the end of that line."""
    begin = max(text.rfind("IP (", 0, tcp_at), text.rfind("IP6 (", 0, tcp_at),
                text.rfind("IP truncated", 0, tcp_at), text.rfind("IP6 truncated", 0, tcp_at), 0)  # fmt: skip
    end = text.find("\n", tcp_at)
    return text[begin : end if end >= 0 else len(text)]


def fields(text: str) -> dict[str, str]:
    # What follows the first `length` is what the payload was taken for.
    text = re.sub(r"(: Flags \[.*?, length \d+).*", r"\1", text, flags=re.DOTALL)
    found = {name: match[1] for name, pattern in PATTERNS.items() if (match := pattern.search(text))}
    if "options" in found:  # tcpdump closes a list that ends badly in three ways
        found["options"] = re.sub(r"(\[bad opt|\[\|)(?:\w*)\]?[]>]*$", r"\1]", found["options"])
    return found


def show(found: Comparison, most: int) -> None:
    counts = f"{found.packets} TCP packets, {found.others} other IP packets"
    print(f"{found.files} captures, {counts}; tcpdump reads nothing of {len(found.unread)}")
    for name in FIELDS:
        if found.same[name] or found.different[name]:
            print(f"  {name:<16}{found.same[name]:>8} same{found.different[name]:>7} different")
    for why, count in found.explained.most_common():
        print(f"  {count} explained: {why}")
    for why, count in found.only.most_common():
        print(f"  {count} packets: {why}")
    for kind, examples in found.examples.items():
        print(f"\n{kind}: {len(examples)}")
        print("\n".join(f"  {example}" for example in examples[:most]))


if __name__ == "__main__":
    sys.exit(main())
