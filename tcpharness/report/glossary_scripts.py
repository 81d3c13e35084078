"""The words of scripted peers; docs/scripts.md is their page."""

from __future__ import annotations

from tcpharness.report.term import Term

PAGE = "docs/scripts.md"


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
