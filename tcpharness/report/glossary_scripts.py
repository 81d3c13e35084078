"""The words of scripted peers; docs/scripts.md is their page."""

from __future__ import annotations

from tcpharness.packet.icmp import KINDS
from tcpharness.report.term import Term

PAGE = "docs/scripts.md"


# A step of a script with each word.
STEPS = {
    "send": "send: S 0:0(0) win 1000 <mss 1460>",
    "expect": "expect: S. 0:0(0) ack 1 <mss, no wscale>",
    "any of": "any of: {open: [expect: S.], closed: [expect: R.]}",
    "repeat": "{repeat: [expect: P?., send: .], times: 5}",
    "pause": "pause: {until: server blocked}",
    "after": "{send: R 1:1(0), after: 50ms}",
    "times": '{expect: . ack 6, times: "1..3"}',
    "within": "{expect: S. ack 1, within: 2s}",
    "for": "{expect: nothing, for: 200ms}",
}

# Lines of scripts: what is written, and what it means.
SEGMENTS = (
    ("S 0:0(0) win 1000 <mss 1460>", "A SYN, its window field and an option, as tcpdump prints it."),
    ("P. 1:6(5) ack 1", "PSH and ACK, bytes 1 to 5 of the stream; numbers are relative to the initial ones."),
    ("R =7000:7000(0)", "The number as it is on the wire."),
    ("P?. 1:6(5) ack 1", "Expected: PSH may be set or not."),
    ("S. 0:0(0) ack 1 <mss, no wscale>", "Expected: with any MSS, and without window scaling."),
    (". 1:1(0) ack 1 <TS val 101 ecr last>", "Sent: echoes the last timestamp that came."),
    (". 1:1(0) ack 1 <sack 1 {101:201}>", "A SACK block of the other side's stream, relative as well."),
    ('P. 1:6(5) ack 1 [payload "HELLO"]', "The payload; in brackets also ttl, tos, id, df, mf and more."),
    ("P. 1:6(5) ack 1 [cksum bad]", "Sent with a wrong checksum; expected: damaged."),
    ("icmp frag_needed mtu 1280", "Sent: an ICMP error about the segment that came last."),
)


def word(name: str, meaning: str, watch: str, *also: str) -> Term:
    return Term(name, "script word", meaning, watch, PAGE, also)


SCRIPT_WORDS = (
    word(
        "script",
        "An endpoint without a kernel behind it: a list of segments that it expects and sends, from an address"
        " of its own that no kernel owns, so that nothing resets what it opens.",
        "`peer: {on: client, connect: server, script: [send: S 0:0(0), expect: S. 0:0(0) ack 1]}`. With listen"
        " it is a server. It fails where it gets another segment than expected, with both and the last packets.",
        "scripted peer",
    ),
    word(
        "send",
        "Sends one segment, written as it is printed: flags, FROM:TO(BYTES), ack, win, urg, <options>, [the rest]."
        " Numbers are relative to the initial ones; `=` before a number means the one on the wire.",
        "What is left out follows: the next sequence number, all that was received, the window as before."
        ' `send: P. 1:6(5) ack 1 [payload "HELLO"]`, `{send: R 1:1(0), after: 50ms}`,'
        " `send: icmp frag_needed mtu 1280`. In an endpoint with `do`, send is that endpoint's own step.",
    ),
    word(
        "expect",
        "Waits for one segment, in the same notation; what is left out does not matter, and `?` after a flag says"
        " that it may be set or not. `expect: nothing` with `for` demands that none comes.",
        "`expect: S. 0:0(0) ack 1 <mss, no wscale>`, `{expect: P?. ack 1, times: \"1..3\", within: 2s}`."
        " The section `expect` of a scenario says what must be seen in all.",
    ),
    word(
        "any of",
        "Alternatives, of which the one goes on whose first segment comes. No two of them may begin with what one"
        " segment could fit. How many conversations took which is counted in `took`.",
        "`any of: {open: [expect: S.], closed: [expect: R.], filtered: [{expect: nothing, for: 300ms}]}` and"
        " `endpoints: {scan: {took: {open: 2, closed: 38}}}`.",
        "took",
    ),
    word(
        "pause",
        "Waits for a time, or until an endpoint is in some state or a fault has fired.",
        f"`{STEPS['pause']}`, `pause: 50ms`. An endpoint's own step `pause` is the same.",
    ),
    word(
        "after",
        "Sends its segment this long after the step before.",
        f"`{STEPS['after']}`",
    ),
    word(
        "within",
        "The segment, or one of the alternatives, comes at the latest after this; 5 s where nothing is said. What does not"
        " come is the error `silence`.",
        f"`{STEPS['within']}`",
    ),
    word(
        "for",
        "`expect: nothing` demands that no segment comes for so long.",
        f"`{STEPS['for']}`",
        "nothing",
    ),
    word(
        "icmp",
        "Sends an ICMP error about the segment that came last: net_unreachable, host_unreachable, port_unreachable,"
        " frag_needed (with mtu), admin_prohibited, ttl_exceeded; ICMPv6's own where the scenario is IPv6.",
        "`send: icmp frag_needed mtu 1280`",
        *KINDS,
    ),
    word(
        "times",
        "How often. Of an `expect` the least is waited for, and more, up to the most, are taken whenever they come.",
        '`{expect: . ack 6, times: "0.."}` lets such ACKs come or not, from there on, as a kernel likes.',
    ),
    word(
        "repeat",
        "These steps of a script, `times` times, one after the other.",
        "`{repeat: [expect: . 1000:1000(0) ack 1, send: . ack 1001 win 0], times: 2}` answers two probes.",
    ),
    word(
        "ports",
        'One conversation with each of these ports: "1..200", or a list. `addresses: 100` holds one from each of so'
        " many addresses, `times` repeats it from further ports, `every: 20ms` spaces their beginnings.",
        "A port scan and a SYN flood are four lines each.",
        "addresses",
        "every",
    ),
)  # fmt: skip
