"""The options of TCP and IPv4, for `tcpharness explain`."""

from __future__ import annotations

from tcpharness.report.header_picture import Field
from tcpharness.report.term import Term


def of_tcp(
    name: str,
    kind: int,
    fields: tuple[tuple[str, int], ...],
    meaning: str,
    watch: str,
    source: str,
    *also: str,
) -> Term:
    return Term(name, "option", meaning, watch, source, also, "TCP", "options", layout(kind, fields))


def of_ip(
    name: str,
    kind: int,
    fields: tuple[tuple[str, int], ...],
    meaning: str,
    watch: str,
    source: str,
    *also: str,
) -> Term:
    return Term(name, "IP option", meaning, watch, source, also, "IPv4", "ip_options", layout(kind, fields))


def layout(kind: int, fields: tuple[tuple[str, int], ...]) -> tuple[Field, ...]:
    """Kind and length, then the fields; kinds 0 and 1 are a single byte. A field of 0 bytes is of any size."""
    first = Field(f"kind {kind}", 1)
    if kind < 2:
        return (first,)
    sizes = [size for _, size in fields]
    length = "length" if 0 in sizes else f"length {2 + sum(sizes)}"
    return (first, Field(length, 1), *(Field(*field) for field in fields))


TCP_OPTIONS = (
    of_tcp(
        "eol", 0, (), "The end of the options; what follows is padding.", "", "RFC 9293 3.2", "end of options"
    ),
    of_tcp("nop", 1, (), "One byte of nothing, to align what follows.", "", "RFC 9293 3.2", "no operation"),
    of_tcp(
        "mss",
        2,
        (("mss", 2),),
        "In a SYN: the largest payload the sender will take in one segment.",
        "Missing: 536 (IPv4) or 1220 (IPv6) is assumed. Smaller than MTU - 40 (IPv6: - 60): something clamps it.",
        "RFC 9293 3.7.1",
        "maximum segment size",
    ),
    of_tcp(
        "wscale",
        3,
        (("shift", 1),),
        "In a SYN: by how many bits the sender's windows are to be shifted, 0 to 14. In force only when both sent it.",
        "Off: no window above 64 KB, so throughput <= 65535 bytes / RTT; 6.5 Mbit/s at 80 ms.",
        "RFC 7323 2",
        "window scale",
    ),
    of_tcp(
        "sack_ok",
        4,
        (),
        "In a SYN: selective acknowledgements are understood.",
        "Missing: several losses in one window cost a round trip each.",
        "RFC 2018 2",
        "sackOK",
        "SACK permitted",
    ),
    of_tcp(
        "sack",
        5,
        (("first block: left, right edge", 8), ("more blocks", 0)),
        "The blocks that have arrived above a hole.",
        "A first block at or below ack is a DSACK: something arrived twice.",
        "RFC 2018 3, RFC 2883",
        "dsack",
    ),
    of_tcp("echo", 6, (("value", 4),), "Forerunner of the timestamps.", "Obsolete.", "RFC 1072", "echoreply"),
    of_tcp(
        "timestamps",
        8,
        (("tsval", 4), ("tsecr", 4)),
        "tsval, the sender's clock; tsecr, the last tsval it saw.",
        "Gives the RTT of every segment and tells a retransmission from a reordered original.",
        "RFC 7323 3",
        "tsval",
        "tsecr",
        "TS",
    ),
    of_tcp(
        "md5",
        19,
        (("digest", 16),),
        "A signature by a shared secret, for BGP.",
        "A segment without it, or with a wrong one, is dropped silently: a reset by a third party does nothing.",
        "RFC 2385",
        "TCP MD5",
    ),
    of_tcp(
        "scps",
        20,
        (("capabilities", 1), ("connection", 1)),
        "Space communication's capabilities.",
        "",
        "CCSDS 714.0-B",
    ),
    of_tcp(
        "uto",
        28,
        (("granularity and timeout", 2),),
        "How long the sender will wait for an acknowledgement before it gives up.",
        "Linux sends none; its TCP_USER_TIMEOUT is local.",
        "RFC 5482",
        "user timeout",
    ),
    of_tcp(
        "tcp-ao",
        29,
        (("key", 1), ("next key", 1), ("code", 0)),
        "Authentication, successor of md5.",
        "As with md5, forged segments do nothing, and a wrong key looks like a silent peer.",
        "RFC 5925",
        "TCP-AO",
    ),
    of_tcp(
        "mptcp",
        30,
        (("subtype, fields", 0),),
        "Multipath TCP: capable, join, dss, add-addr, rem-addr, prio, fail, fast-close.",
        "One application stream over several connections: each has gaps that the others fill. Stripped by some middleboxes; "
        "then it goes on as plain TCP.",
        "RFC 8684",
        "Multipath TCP",
    ),
    of_tcp(
        "tfo",
        34,
        (("cookie", 0),),
        "Fast Open: a cookie that allows data in the SYN; empty, it asks for one.",
        "Data in a SYN is not odd then. Middleboxes that drop it cost a timeout.",
        "RFC 7413",
        "fast open",
    ),
    of_tcp(
        "accecn",
        172,
        (("counters", 0),),
        "Accurate ECN: bytes that arrived with each mark; kind 174 has the counters in another order.",
        "tcpdump before version 5 prints unknown-172 and unknown-174.",
        "RFC 9768 3.2.3",
    ),
    of_tcp(
        "exp",
        254,
        (("experiment", 2), ("its fields", 0)),
        "Experiments, told apart by their first two bytes; kind 253 is another one for them.",
        "0xf989 is Fast Open before it had a number.",
        "RFC 6994",
        "experimental option",
    ),
)

IP_OPTIONS = (
    of_ip(
        "RR",
        7,
        (("pointer", 1), ("addresses", 0)),
        "Record route: each router writes its address, up to nine.",
        "",
        "RFC 791 3.1",
        "record route",
    ),
    of_ip(
        "IP timestamp",
        68,
        (("pointer", 1), ("overflow, flags", 1), ("times", 0)),
        "Each router writes the time, and its address when asked.",
        "",
        "RFC 791 3.1",
    ),
    of_ip(
        "LSRR",
        131,
        (("pointer", 1), ("route", 0)),
        "Loose source route: stops on the way, others may lie between.",
        "Dropped nearly everywhere. TCP's checksum covers the last stop, not the destination field.",
        "RFC 791 3.1, RFC 1122 4.2.3.8",
        "source route",
    ),
    of_ip(
        "SSRR",
        137,
        (("pointer", 1), ("route", 0)),
        "Strict source route: these stops and no others.",
        "Dropped nearly everywhere.",
        "RFC 791 3.1",
        "source route",
    ),
    of_ip(
        "RA",
        148,
        (("value", 2),),
        "Router alert: look into this packet.",
        "IGMP and RSVP; not TCP.",
        "RFC 2113",
        "router alert",
    ),
)
