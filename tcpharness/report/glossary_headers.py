"""The flags and fields of the TCP, IPv4 and IPv6 headers, for `tcpharness explain`."""

from __future__ import annotations

from tcpharness.report.term import Term


def flag(name: str, letter: str, meaning: str, watch: str, source: str, *also: str) -> Term:
    return Term(name, "flag", meaning, watch, source, (letter, *also), "TCP")


def tcp(name: str, meaning: str, watch: str, source: str, *also: str) -> Term:
    return Term(name, "header field", meaning, watch, source, also, "TCP")


def ip4(name: str, meaning: str, watch: str, source: str, *also: str) -> Term:
    return Term(name, "header field", meaning, watch, source, also, "IPv4")


def ip6(name: str, meaning: str, watch: str, source: str, *also: str) -> Term:
    return Term(name, "header field", meaning, watch, source, also, "IPv6")


FLAGS = (
    flag(
        "SYN",
        "S",
        "Opens a connection and carries the initial sequence number (ISN); counts as one byte.",
        "A SYN sent again means that it or its answer was lost, or that nobody answers. tcpdump prints S, the answer S. (with ACK).",
        "RFC 9293 3.5",
    ),
    flag(
        "ACK",
        ".",
        "The acknowledgement number is valid: every byte before it has arrived. Set on all segments but the first SYN and some RSTs.",
        "tcpdump prints a dot. A filter for `tcp[tcpflags] == tcp-ack` matches only segments with no other flag.",
        "RFC 9293 3.1",
    ),
    flag(
        "FIN",
        "F",
        "The sender has no more to send; counts as one byte. The other direction stays open.",
        "A FIN each way, each acknowledged, is a graceful end. A FIN with SYN, or without ACK, does not occur in real traffic.",
        "RFC 9293 3.6",
    ),
    flag(
        "RST",
        "R",
        "Ends the connection at once; what was in flight is lost.",
        "Answering a SYN: the port is closed. Later: an abort, a process that died with unread data, an idle timeout of a "
        "middlebox, or a forgery. `tcp[tcpflags] == tcp-rst` misses RST-ACK; use `tcp[tcpflags] & tcp-rst != 0`.",
        "RFC 9293 3.5.2, RFC 5961",
    ),
    flag(
        "PSH",
        "P",
        "Hand what has arrived to the application now.",
        "Normal on the last segment of a write.",
        "RFC 9293 3.9.1",
    ),
    flag(
        "URG",
        "U",
        "The urgent pointer is valid.",
        "Hardly used; monitors disagree about the byte it means.",
        "RFC 9293 3.8.5, RFC 6093",
    ),
    flag(
        "ECE",
        "E",
        "ECN echo: a segment arrived marked as having met congestion; in a SYN: ECN is offered.",
        "Congestion without loss.",
        "RFC 3168 6.1",
    ),
    flag(
        "CWR",
        "W",
        "The sender has reduced its congestion window in answer to ECE; in a SYN with ECE: ECN is offered.",
        "Once for each window in which ECE came. A middlebox that clears it in a SYN switches ECN off for the connection.",
        "RFC 3168 6.1",
    ),
    flag(
        "AE",
        "e",
        "Accurate ECN, formerly the nonce sum bit.",
        "Not an error in a SYN. tcpdump before version 5 does not print it.",
        "RFC 9768",
        "NS",
    ),
)

TCP_FIELDS = (
    tcp(
        "sport",
        "The sender's port.",
        "A client's is drawn from net.ipv4.ip_local_port_range; the same one soon again is a port reused (port_reused).",
        "RFC 9293 3.1",
        "source port",
    ),
    tcp(
        "dport",
        "The receiver's port.",
        "Many of them from one source with few answers are a scan.",
        "RFC 9293 3.1",
        "destination port",
    ),
    tcp(
        "seq",
        "The sequence number of the first payload byte (of the SYN itself in a SYN), modulo 2^32.",
        "tcpdump prints it relative to the ISN after the first segment.",
        "RFC 9293 3.4",
        "sequence number",
    ),
    tcp(
        "ack",
        "The next sequence number that the sender expects, when ACK is set.",
        "The same number again and again while data is in flight: a hole at the receiver (duplicate_ack).",
        "RFC 9293 3.4",
        "acknowledgment number",
        "acknowledgement number",
    ),
    tcp(
        "offset",
        "Length of the TCP header in 32-bit words, 5 to 15.",
        "Below 5, or beyond the segment: malformed. The payload begins behind it.",
        "RFC 9293 3.1",
        "data offset",
        "doff",
    ),
    tcp(
        "reserved",
        "Three bits that must be zero when sent and ignored when received.",
        "Set bits are a probe, a broken device, or a use that came after this was written.",
        "RFC 9293 3.1",
        "res",
    ),
    tcp(
        "flags",
        "Nine control bits, each with a page of its own: AE CWR ECE URG ACK PSH RST SYN FIN.",
        "tcpdump writes them as letters, FSRP.UEWe, where the dot is ACK; `[S.]` is a SYN-ACK. Some combinations cannot be "
        "(impossible_flags).",
        "RFC 9293 3.1",
        "control bits",
        "tcpflags",
    ),
    tcp(
        "win",
        "How many bytes from ack on the sender is willing to take; shifted left by wscale after the handshake.",
        "Zero: the receiver's application does not read (zero_window). Never above 65535 when either side left out window scaling.",
        "RFC 9293 3.8.6, RFC 7323 2",
        "window",
    ),
    tcp(
        "cksum",
        "One's complement sum over a pseudo-header, the TCP header and the payload.",
        "Wrong in a capture at the sender is usually checksum offload (the device fills it in later): then the field equals the "
        "pseudo-header's sum. Really wrong: the receiver drops the segment and counts TcpInCsumErrors; it never keeps it.",
        "RFC 9293 3.1",
        "checksum",
    ),
    tcp(
        "urg",
        "Offset to the end of the urgent data, when URG is set.",
        "Not zero without URG: ignored by receivers, and worth a look.",
        "RFC 9293 3.8.5",
        "urgent pointer",
    ),
    tcp(
        "options",
        "Up to 40 bytes behind the fixed header: mss, wscale, sack_ok, sack, timestamps and rarer ones.",
        "What is agreed on in the SYNs holds for the connection; an option that one side left out is off for both.",
        "RFC 9293 3.2",
        "TCP options",
    ),
    tcp(
        "payload",
        "The bytes of the stream; as many as the IP length leaves after both headers.",
        "SYN and FIN count as one byte each in sequence numbers, and are none.",
        "RFC 9293 3.4",
        "len",
        "length",
        "data",
    ),
)

IP_FIELDS = (
    ip4("version", "4.", "", "RFC 791 3.1", "IP version"),
    ip4(
        "ihl",
        "Length of the IPv4 header in 32-bit words, 5 to 15; above 5 it has options.",
        "Below 5: malformed.",
        "RFC 791 3.1",
        "header length",
    ),
    ip4(
        "tos",
        "DSCP (6 bits) and ECN (2 bits).",
        "A change within one direction: something re-marks packets.",
        "RFC 2474, RFC 3168",
        "type of service",
    ),
    ip4(
        "dscp",
        "How the packet is to be treated: 0 best effort, 46 expedited, 1 less than best effort.",
        "Networks rewrite it at their borders.",
        "RFC 2474, RFC 8622",
        "differentiated services",
    ),
    ip4(
        "ecn",
        "00: no ECN; 01 and 10: the sender understands it, ECT(1) and ECT(0); 11: congestion was met (CE).",
        "CE is loss that did not happen (ecn_ce); the receiver answers with ECE. tcpdump prints it behind tos.",
        "RFC 3168 5",
        "ect",
        "ce",
    ),
    ip4(
        "ip_len",
        "Length of the packet with its header, in bytes.",
        "Beyond the frame: malformed, or cut on the way. Zero: too large for the field, in a capture before segmentation offload.",
        "RFC 791 3.1",
        "total length",
    ),
    ip4(
        "id",
        "Identification, for fragments. Linux counts it per connection; 0 on its RSTs and TIME-WAIT replies.",
        "The same id and bytes twice: captured twice, not sent twice.",
        "RFC 6864",
        "identification",
    ),
    ip4("rsvd", "A bit that must be zero.", "Set: a joke (RFC 3514) or a probe.", "RFC 791 3.1", "evil bit"),
    ip4(
        "df",
        "Don't fragment. Set by Linux for TCP.",
        "With a smaller MTU on the path and ICMP filtered: a black hole.",
        "RFC 791 3.1, RFC 1191",
        "don't fragment",
    ),
    ip4(
        "mf",
        "More fragments follow this one.",
        "TCP that is fragmented has a path MTU nobody discovered. tcpdump prints a + among the IP flags.",
        "RFC 791 3.1",
        "more fragments",
    ),
    ip4(
        "frag_offset",
        "Where in the packet this fragment's bytes belong, in units of 8 bytes (printed in bytes).",
        "Only the fragment with offset 0 has the TCP header: filters on ports miss the others.",
        "RFC 791 3.1",
        "fragment offset",
    ),
    ip4(
        "ttl",
        "Hops left; Linux starts with 64. IPv6 calls it hop limit.",
        "A segment whose TTL differs from its sender's others came another way or from somebody else (injected_reset).",
        "RFC 791 3.1",
        "time to live",
    ),
    ip4("proto", "What the packet carries: 6 is TCP, 1 ICMP, 17 UDP.", "", "RFC 791 3.1", "protocol"),
    ip4(
        "ip_cksum",
        "One's complement sum over the IPv4 header; IPv6 has none.",
        "Wrong: the receiver drops the packet and counts IpInHdrErrors. Each router computes it anew, for it changes the TTL.",
        "RFC 791 3.1",
        "header checksum",
    ),
    ip4(
        "src",
        "The sender's address.",
        "An address that is also the destination: land.",
        "RFC 791 3.1",
        "source address",
    ),
    ip4(
        "dst",
        "The receiver's address; with a source route the next stop's.",
        "",
        "RFC 791 3.1",
        "destination address",
    ),
    ip4(
        "ip_options",
        "Up to 40 bytes behind the fixed header: routes, timestamps, router alert.",
        "Hardly used; many routers drop packets that have any.",
        "RFC 791 3.1, RFC 7126",
        "IP options",
    ),
    ip6("version", "6.", "", "RFC 8200 3", "IP version"),
    ip6(
        "class",
        "DSCP (6 bits) and ECN (2 bits), IPv4's tos; `tos` names it here.",
        "A change within one direction: something re-marks packets.",
        "RFC 8200 7, RFC 2474, RFC 3168",
        "traffic class",
        "tos",
    ),
    ip6(
        "flowlabel",
        "The same for all packets of a connection and direction, drawn by the sender.",
        "Linux draws a new one after a retransmission timeout, to try another path: a change there is no forgery.",
        "RFC 6437",
        "flow label",
    ),
    ip6(
        "ip_len",
        "Length of what follows the IPv6 header, extension headers included.",
        "Zero: a jumbo payload, or a capture before segmentation offload.",
        "RFC 8200 3",
        "payload length",
    ),
    ip6(
        "next-header",
        "What follows: 6 is TCP, 58 ICMPv6; 0, 43, 44, 51 and 60 are extension headers.",
        "A filter on the byte at its place misses TCP behind an extension header.",
        "RFC 8200 3",
        "next header",
        "proto",
    ),
    ip6(
        "hlim",
        "Hops left; Linux starts with 64. `ttl` names it in scenarios and findings.",
        "A segment whose hop limit differs from its sender's others came another way or from somebody else.",
        "RFC 8200 3",
        "hop limit",
        "ttl",
    ),
    ip6("src", "The sender's address.", "", "RFC 8200 3, RFC 4291", "source address"),
    ip6(
        "dst",
        "The receiver's address; with a routing header the next stop's.",
        "",
        "RFC 8200 3",
        "destination address",
    ),
    ip6(
        "extension",
        "Headers between IPv6 and TCP: hop-by-hop (0), routing (43), fragment (44), authentication (51), destination (60).",
        "Each begins with the number of the next. Many networks drop packets that have some.",
        "RFC 8200 4, RFC 7045",
        "extension header",
        "hop-by-hop",
        "routing header",
        "fragment header",
    ),
)
