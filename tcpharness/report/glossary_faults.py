"""Words of faults and scripts, each with an example; docs/vocabulary.md is made of them, and of the lab's."""

from __future__ import annotations

from collections.abc import Iterator

from tcpharness.report.glossary_lab import CONDITIONS, EVENTS, IMPAIRMENTS
from tcpharness.report.term import Term
from tcpharness.scenario.fault_keys import ACTION, MATCH_KEYS
from tcpharness.scenario.script_keys import STEP_KEYS

# What a fault's `when` can ask about a frame; header fields by their names take a number each.
MATCHES = {
    "from": "from: client",
    "to": "to: server",
    "flow": "flow: client, data: 1",
    "flags": "flags: S.",
    "nth": "from: client, nth: 3",
    "data": "from: client, data: 2",
    "byte": "from: client, byte: 1000",
    "contains": "contains: HELLO",
    "retransmitted": "from: client, retransmitted: true",
    "len": "len: 1000..",
    "after": "after: first, from: server",
    "time": "time: 500ms, from: client",
    "state": "state: established, from: client",
    "times": "from: client, data: 1, times: 3",
}
ACTIONS = {
    "drop": "drop",
    "delay": "{delay: 50ms}",
    "duplicate": "{duplicate: 2}",
    "hold": "{hold: 3}",
    "corrupt": "{corrupt: tcp}",
    "set": "{set: {ttl: 3, strip: [sack]}}",
    "inject": "{inject: {to: client, flags: R, seq: rcv_nxt}}",
    "kill": "{kill: server}",
}
NUMBERS = {"sack_ok": "on", "df": "on"}  # header fields that are no numbers

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


def _match(name: str, example: str) -> Term:
    return Term(
        name,
        "match of a fault",
        MATCH_KEYS[name].about,
        f"faults: [{{when: {{{example}}}, do: drop}}]",
        "docs/faults.md",
    )


def _action(name: str, example: str) -> Term:
    return Term(
        name,
        "action of a fault",
        ACTION.verbs[name].about,
        f"faults: [{{when: {{from: client, data: 2}}, do: {example}}}]",
        "docs/faults.md",
    )


FAULT_WORDS = (
    *(_match(name, example) for name, example in MATCHES.items()),
    *(_action(name, example) for name, example in ACTIONS.items()),
)


def vocabulary() -> str:
    """docs/vocabulary.md."""
    return "\n".join([*_head(), *_faults(), *_lab(), *_scripts()]) + "\n"


def _head() -> list[str]:
    return [
        "# Vocabulary",
        "",
        "Everything that a scenario can make go wrong, a line and an example each. `tcpharness explain WORD` says the",
        "same. The pages behind the links say what is meant where that could be doubted. This page is made from the",
        "tables that read scenarios; a test holds it to them.",
        "",
    ]


def _table(rows: Iterator[tuple[str, str, str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return ["| word | means | example |", "|---|---|---|"] + [
        f"| `{word}` | {about} | `{example}` |" for word, about, example in cells
    ]


def _faults() -> list[str]:
    known = {**MATCHES, **{c.name: c.watch.removeprefix("when: {").removesuffix("}") for c in CONDITIONS}}
    fields = [(name, key.about, f"{name}: {NUMBERS.get(name, '7')}") for name, key in MATCH_KEYS.items()]
    matches = [(name, about, known.get(name, example)) for name, about, example in fields]
    return [
        "## Which frame, or when: `when` ([faults.md](faults.md), [time.md](time.md))",
        "",
        *_table((name, about, f"when: {{{example}}}") for name, about, example in matches),
        "",
        "## What is done with it: `do` ([faults.md](faults.md))",
        "",
        *_table((name, ACTION.verbs[name].about, f"do: {example}") for name, example in ACTIONS.items()),
        "",
    ]


def _lab() -> list[str]:
    return [
        "## What is done to the lab: `do` as well ([time.md](time.md))",
        "",
        *_table((term.name, term.meaning, _example(term.watch, "do: ")) for term in EVENTS),
        "",
        "## What a link does to every frame ([impairments.md](impairments.md))",
        "",
        *_table((term.name, term.meaning, term.watch.split(";")[0]) for term in IMPAIRMENTS),
        "",
    ]


def _example(watch: str, from_word: str) -> str:
    return watch[watch.index(from_word) :].removesuffix("}]")


def _scripts() -> list[str]:
    return [
        "## What a scripted peer does: steps of `script` ([scripts.md](scripts.md))",
        "",
        "| word | means |",
        "|---|---|",
        *(f"| `{name}` | {key.about} |" for name, key in STEP_KEYS.items()),
        "",
        "## Segments in one line",
        "",
        "| written | means |",
        "|---|---|",
        *(f"| `{written}` | {about} |" for written, about in SEGMENTS),
    ]
