"""What `tcpharness explain` knows besides the detectors: flags, header fields, options, counters.

Each entry: what it is, what a person who monitors TCP makes of it, and the source.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    kind: str  # flag, header field, option, counter, setting, command
    meaning: str
    watch: str  # what to make of it, what to do
    source: str
    also: tuple[str, ...] = ()  # other spellings that find it


TCP_HEADER = """\
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-------------------------------+-------------------------------+
|             sport             |             dport             |
+-------------------------------+-------------------------------+
|                              seq                              |
+---------------------------------------------------------------+
|                              ack                              |
+-------+-----+-+-+-+-+-+-+-+-+-+-------------------------------+
|offset | res |A|C|E|U|A|P|R|S|F|              win              |
|       |     |E|W|C|R|C|S|S|Y|I|                               |
|       |     | |R|E|G|K|H|T|N|N|                               |
+-------+-----+-+-+-+-+-+-+-+-+-+-------------------------------+
|             cksum             |              urg              |
+-------------------------------+-------------------------------+
|                       options, then payload                   |
+---------------------------------------------------------------+"""

IP_HEADER = """\
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-------+-------+---------------+-------------------------------+
|version|  IHL  |      tos      |         total length          |
+-------+-------+---------------+-----+-------------------------+
|              id               |flags|     fragment offset     |
+---------------+---------------+-----+-------------------------+
|      ttl      |   protocol    |          ip_cksum             |
+---------------+---------------+-------------------------------+
|                              src                              |
+---------------------------------------------------------------+
|                              dst                              |
+---------------------------------------------------------------+"""

TERMS: tuple[Term, ...] = (
    Term(
        "SYN",
        "flag",
        "Opens a connection and carries the initial sequence number (ISN); counts as one byte.",
        "A SYN sent again means that it or its answer was lost, or that nobody answers. tcpdump prints S, the answer S. (with ACK).",
        "RFC 9293 3.5",
        ("S",),
    ),
    Term(
        "ACK",
        "flag",
        "The acknowledgement number is valid: every byte before it has arrived. Set on all segments but the first SYN and some RSTs.",
        "tcpdump prints a dot. A filter for `tcp[tcpflags] == tcp-ack` matches only segments with no other flag.",
        "RFC 9293 3.1",
        (".",),
    ),
    Term(
        "FIN",
        "flag",
        "The sender has no more to send; counts as one byte. The other direction stays open.",
        "A FIN each way, each acknowledged, is a graceful end. A FIN with SYN, or without ACK, does not occur in real traffic.",
        "RFC 9293 3.6",
        ("F",),
    ),
    Term(
        "RST",
        "flag",
        "Ends the connection at once; what was in flight is lost.",
        "Answering a SYN: the port is closed. Later: an abort, a process that died with unread data, an idle timeout of a "
        "middlebox, or a forgery. `tcp[tcpflags] == tcp-rst` misses RST-ACK; use `tcp[tcpflags] & tcp-rst != 0`.",
        "RFC 9293 3.5.2, RFC 5961",
        ("R",),
    ),
    Term(
        "PSH",
        "flag",
        "Hand what has arrived to the application now.",
        "Normal on the last segment of a write.",
        "RFC 9293 3.9.1",
        ("P",),
    ),
    Term(
        "URG",
        "flag",
        "The urgent pointer is valid.",
        "Hardly used; monitors disagree about the byte it means.",
        "RFC 9293 3.8.5, RFC 6093",
        ("U",),
    ),
    Term(
        "ECE",
        "flag",
        "ECN echo: a segment arrived marked as having met congestion; in a SYN: ECN is offered.",
        "Congestion without loss.",
        "RFC 3168 6.1",
        ("E",),
    ),
    Term(
        "CWR",
        "flag",
        "The sender has reduced its congestion window in answer to ECE.",
        "",
        "RFC 3168 6.1",
        ("W",),
    ),
    Term(
        "AE",
        "flag",
        "Accurate ECN, formerly the nonce sum bit.",
        "Not an error in a SYN.",
        "RFC 9768",
        ("e",),
    ),
    Term("sport", "header field", "The sender's port.", "", "RFC 9293 3.1", ("source port",)),
    Term("dport", "header field", "The receiver's port.", "", "RFC 9293 3.1", ("destination port",)),
    Term(
        "seq",
        "header field",
        "The sequence number of the first payload byte (of the SYN itself in a SYN), modulo 2^32.",
        "tcpdump prints it relative to the ISN after the first segment.",
        "RFC 9293 3.4",
        ("sequence number",),
    ),
    Term(
        "ack",
        "header field",
        "The next sequence number that the sender expects, when ACK is set.",
        "The same number again and again while data is in flight: a hole at the receiver (duplicate_ack).",
        "RFC 9293 3.4",
        ("acknowledgment number",),
    ),
    Term(
        "win",
        "header field",
        "How many bytes from ack on the sender is willing to take; shifted left by wscale after the handshake.",
        "Zero: the receiver's application does not read (zero_window). Never above 65535 when either side left out window scaling.",
        "RFC 9293 3.8.6, RFC 7323 2",
        ("window",),
    ),
    Term(
        "cksum",
        "header field",
        "One's complement sum over a pseudo-header, the TCP header and the payload.",
        "Wrong in a capture at the sender is usually checksum offload (the device fills it in later): then the field equals the "
        "pseudo-header's sum. Really wrong: the receiver drops the segment and counts TcpInCsumErrors; it never keeps it.",
        "RFC 9293 3.1",
        ("checksum",),
    ),
    Term(
        "urg",
        "header field",
        "Offset to the end of the urgent data, when URG is set.",
        "",
        "RFC 9293 3.8.5",
        ("urgent pointer",),
    ),
    Term(
        "offset",
        "header field",
        "Length of the TCP header in 32-bit words, 5 to 15.",
        "Below 5: malformed.",
        "RFC 9293 3.1",
        ("data offset",),
    ),
    Term(
        "ttl",
        "header field",
        "Hops left; Linux starts with 64. IPv6 calls it hop limit.",
        "A segment whose TTL differs from its sender's others came another way or from somebody else (injected_reset).",
        "RFC 791 3.1",
        ("hop limit",),
    ),
    Term(
        "tos",
        "header field",
        "DSCP (6 bits) and ECN (2 bits).",
        "A change within one direction: something re-marks packets.",
        "RFC 2474, RFC 3168",
        ("dscp", "traffic class"),
    ),
    Term(
        "id",
        "header field",
        "IPv4 identification, for fragments. Linux counts it per connection; 0 on its RSTs and TIME-WAIT replies.",
        "The same id and bytes twice: captured twice, not sent twice.",
        "RFC 6864",
        ("identification",),
    ),
    Term(
        "df",
        "header field",
        "Don't fragment. Set by Linux for TCP.",
        "With a smaller MTU on the path and ICMP filtered: a black hole.",
        "RFC 791 3.1, RFC 1191",
        ("don't fragment",),
    ),
    Term(
        "ip_cksum",
        "header field",
        "One's complement sum over the IPv4 header; IPv6 has none.",
        "Wrong: the receiver drops the packet and counts IpInHdrErrors.",
        "RFC 791 3.1",
        (),
    ),
    Term(
        "mss",
        "option",
        "In a SYN: the largest payload the sender will take in one segment.",
        "Missing: 536 (IPv4) or 1220 (IPv6) is assumed. Smaller than MTU - 40: something clamps it.",
        "RFC 9293 3.7.1",
        (),
    ),
    Term(
        "wscale",
        "option",
        "In a SYN: by how many bits the sender's windows are to be shifted, 0 to 14. In force only when both sent it.",
        "Off: no window above 64 KB, so throughput <= 65535 bytes / RTT; 6.5 Mbit/s at 80 ms.",
        "RFC 7323 2",
        ("window scale",),
    ),
    Term(
        "sack_ok",
        "option",
        "In a SYN: selective acknowledgements are understood.",
        "Missing: several losses in one window cost a round trip each.",
        "RFC 2018 2",
        ("sackOK",),
    ),
    Term(
        "sack",
        "option",
        "The blocks that have arrived above a hole.",
        "A first block at or below ack is a DSACK: something arrived twice.",
        "RFC 2018 3, RFC 2883",
        ("dsack",),
    ),
    Term(
        "timestamps",
        "option",
        "tsval, the sender's clock; tsecr, the last tsval it saw.",
        "Gives the RTT of every segment and tells a retransmission from a reordered original.",
        "RFC 7323 3",
        ("tsval", "tsecr", "TS"),
    ),
    Term(
        "TcpRetransSegs",
        "counter",
        "Segments sent again, SYN and SYN-ACK included.",
        "Set against TcpOutSegs: above 1 % something loses packets.",
        "RFC 4022, /proc/net/snmp",
        (),
    ),
    Term(
        "TcpInCsumErrors",
        "counter",
        "Segments dropped because the TCP checksum was wrong.",
        "Any at all: corruption on the way.",
        "/proc/net/snmp",
        (),
    ),
    Term(
        "TcpInErrs",
        "counter",
        "Segments dropped for an error, TcpInCsumErrors among them.",
        "",
        "RFC 4022",
        (),
    ),
    Term(
        "TcpOutRsts",
        "counter",
        "RSTs sent.",
        "Rises with connections to closed ports and with aborts.",
        "RFC 4022",
        (),
    ),
    Term(
        "TcpEstabResets",
        "counter",
        "Connections that went from ESTABLISHED or CLOSE-WAIT straight to CLOSED.",
        "Resets of live connections, whoever sent the RST.",
        "RFC 4022",
        (),
    ),
    Term(
        "TcpAttemptFails",
        "counter",
        "Connections that never came to be: refused, or given up while opening.",
        "",
        "RFC 4022",
        (),
    ),
    Term("TcpActiveOpens", "counter", "Connections opened by connect().", "", "RFC 4022", ()),
    Term("TcpPassiveOpens", "counter", "Connections accepted by a listener.", "", "RFC 4022", ()),
    Term(
        "TcpExtTCPTimeouts",
        "counter",
        "Retransmission timers (RTO) that fired.",
        "The costly kind of loss: the connection stood still for at least 200 ms.",
        "linux/snmp.h",
        ("TCPTimeouts",),
    ),
    Term(
        "TcpExtTCPFastRetrans",
        "counter",
        "Segments sent again on evidence (SACK, three duplicate ACKs), without waiting for a timer.",
        "",
        "linux/snmp.h",
        ("TCPFastRetrans",),
    ),
    Term(
        "TcpExtTCPSynRetrans",
        "counter",
        "SYN and SYN-ACK retransmissions.",
        "A listener that is down, filtered or overloaded.",
        "linux/snmp.h",
        ("TCPSynRetrans",),
    ),
    Term(
        "TcpExtTCPLossProbes",
        "counter",
        "Tail-loss probes: the last segment again after about two RTTs.",
        "",
        "RFC 8985 7",
        ("TCPLossProbes",),
    ),
    Term(
        "TcpExtTCPToZeroWindowAdv",
        "counter",
        "Times that this host closed its receive window.",
        "Its applications do not read fast enough. A zero window drops nothing: the sender waits.",
        "linux/snmp.h",
        ("TCPToZeroWindowAdv",),
    ),
    Term(
        "TcpExtTCPFromZeroWindowAdv",
        "counter",
        "Times that this host opened its window again.",
        "",
        "linux/snmp.h",
        ("TCPFromZeroWindowAdv",),
    ),
    Term(
        "TcpExtTCPWinProbe",
        "counter",
        "Probes sent into a closed window.",
        "",
        "linux/snmp.h",
        ("TCPWinProbe",),
    ),
    Term("TcpExtTCPKeepAlive", "counter", "Keep-alive probes sent.", "", "linux/snmp.h", ("TCPKeepAlive",)),
    Term(
        "TcpExtTCPOFOQueue",
        "counter",
        "Segments that arrived above a hole and were kept.",
        "Loss or reordering on the way here.",
        "linux/snmp.h",
        ("TCPOFOQueue",),
    ),
    Term(
        "TcpExtTCPDSACKRecv",
        "counter",
        "Duplicate SACKs received: a retransmission was not needed.",
        "",
        "RFC 2883",
        ("TCPDSACKRecv",),
    ),
    Term(
        "TcpExtTCPChallengeACK",
        "counter",
        "Challenge ACKs sent in answer to a suspicious RST, SYN or ACK.",
        "",
        "RFC 5961",
        ("TCPChallengeACK",),
    ),
    Term(
        "TcpExtTCPAbortOnTimeout",
        "counter",
        "Connections given up after the last retransmission or probe.",
        "",
        "linux/snmp.h",
        ("TCPAbortOnTimeout",),
    ),
    Term(
        "TcpExtListenOverflows",
        "counter",
        "Handshakes finished while the accept queue was full.",
        "Raise the listener's backlog, or accept faster.",
        "linux/snmp.h",
        ("ListenOverflows",),
    ),
    Term(
        "IpInHdrErrors",
        "counter",
        "IPv4 packets dropped for a bad header: checksum, version, length, TTL.",
        "",
        "RFC 4293",
        (),
    ),
    Term(
        "net.ipv4.tcp_adv_win_scale",
        "setting",
        "Once: which share of the receive buffer is not for the window.",
        "It no longer sizes windows on current kernels (since 6.6 or so); look at tcp_rmem.",
        "kernel Documentation/networking/ip-sysctl.rst",
        ("tcp_adv_win_scale",),
    ),
    Term(
        "net.ipv4.tcp_rmem",
        "setting",
        "Smallest, default and largest receive buffer of a socket, in bytes.",
        "The window can't grow beyond what the third number leaves for payload.",
        "ip-sysctl.rst",
        ("tcp_rmem",),
    ),
    Term(
        "net.ipv4.tcp_window_scaling",
        "setting",
        "Whether window scaling is offered.",
        "Off does not give the largest window; it caps it at 64 KB.",
        "ip-sysctl.rst, RFC 7323",
        ("tcp_window_scaling",),
    ),
    Term(
        "rto_min",
        "setting",
        "The smallest retransmission timeout on a route, 200 ms by default: `ip route change ... rto_min 20ms`.",
        "It does not shorten the SYN's timer (1 s).",
        "ip-route(8)",
        (),
    ),
    Term(
        "firewall-cmd",
        "command",
        "firewalld's front end to nftables.",
        "The harness builds its firewalls with nftables itself: `firewall: {policy: drop, open: [80]}` is what "
        "`firewall-cmd --add-port=80/tcp` would leave behind.",
        "nft(8)",
        ("firewalld",),
    ),
)


def find_terms(word: str) -> list[Term]:
    """All terms of that name or spelling, upper and lower case alike; exact case first."""
    exact = [t for t in TERMS if word == t.name or word in t.also]
    folded = word.casefold()
    loose = [t for t in TERMS if folded == t.name.casefold() or folded in {a.casefold() for a in t.also}]
    return exact or loose


def all_words() -> list[str]:
    """Every word that is understood, for suggestions."""
    return [word for term in TERMS for word in (term.name, *term.also)]


def picture(term: Term) -> str | None:
    """The header the field lives in, drawn; None for what is no header field or flag."""
    if term.kind in ("flag", "option") or term.name in (
        "sport",
        "dport",
        "seq",
        "ack",
        "win",
        "cksum",
        "urg",
        "offset",
    ):
        return TCP_HEADER
    if term.kind == "header field":
        return IP_HEADER
    return None
