"""Words of faults, each with an example: what `tcpharness explain` says of them."""

from __future__ import annotations

from tcpharness.report.term import Term
from tcpharness.scenario.fault_keys import ACTION, FIELD_KEYS, MATCH_KEYS, OPTIONS, STATES

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
    "split": "{split: 100}",
    "fragment": "{fragment: 24}",
    "inject": "{inject: {to: client, flags: R, seq: rcv_nxt}}",
    "kill": "{kill: server}",
}
# What an action is told besides; header fields (`set`, `inject`) and a route's metrics have their own names.
PARTS = {
    "corrupt": {"byte": "do: {corrupt: {byte: 3}}", "bit": "do: {corrupt: {byte: 3, bit: 7}}",
                "checksum": "do: {corrupt: {byte: 3, checksum: fix}}"},
    "set": {"flags": "do: {set: {flags: S.}}", "strip": "do: {set: {strip: [wscale, sack]}}",
            "checksum": "do: {set: {ttl: 3, checksum: keep}}"},
    "split": {
        "at": "do: {split: {at: 100}}",
        "overlap": "do: {split: {at: 100, overlap: 10}}",
        "swapped": "do: {split: {at: 100, swapped: on}}",
    },
    "fragment": {"at": "do: {fragment: {at: 24}}", "swapped": "do: {fragment: {at: 24, swapped: on}}"},
    "inject": {"to": "do: {inject: {to: server, flags: R}}", "from": "do: {inject: {to: client, from: server, flags: R}}",
               "flags": "do: {inject: {flags: F.}}", "seq": "do: {inject: {flags: R, seq: rcv_nxt + 1}}",
               "ack": "do: {inject: {flags: ., ack: out_of_window}}", "text": "do: {inject: {text: GOODBYE}}"},
    "kill": {"endpoint": "do: {kill: {endpoint: server}}", "signal": "do: {kill: {endpoint: server, signal: TERM}}"},
    "firewall": {"on": "do: {firewall: {on: server, open: 105}}", "open": "do: {firewall: {on: server, open: [80, 105]}}",
                 "closed": "do: {firewall: {on: server, closed: 105}}",
                 "filtered": "do: {firewall: {on: server, filtered: 105}}",
                 "policy": "do: {firewall: {on: server, policy: drop}}",
                 "established": "do: {firewall: {on: server, closed: 105, established: on}}"},
    "route": {"on": "do: {route: {on: client, to: server, mtu: 1300}}", "to": "do: {route: {on: client, to: default, via: router}}",
              "via": "do: {route: {on: client, to: 192.0.2.0/24, via: router}}",
              "unreachable": "do: {route: {on: client, to: server, unreachable: on}}"},
    "address": {"on": "do: {address: {on: server}}", "interface": "do: {address: {on: server, interface: eth0}}",
                "gone": "do: {address: {on: server, gone: off}}"},
}  # fmt: skip
OTHER_FIELDS = {"sack_ok": "on", "df": "on"}  # header fields that are no numbers


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


def _word(name: str, meaning: str, watch: str, *also: str) -> Term:
    return Term(name, "word of a fault", meaning, watch, "docs/faults.md", also)


WORDS = (
    _word(
        "rcv_nxt",
        "`next`: what the pretended sender would send next. `rcv_nxt`: what the receiver acknowledged last, the one"
        " number at which a reset is believed (RFC 5961 3.2). `in_window`: half a window beyond. `out_of_window`: a"
        " megabyte behind the window's end. Each with + or - a number; or a number as on the wire.",
        "do: {inject: {to: client, flags: R, seq: rcv_nxt + 1}}; `ack` takes the same words about the other stream.",
        "next", "in_window", "out_of_window",
    ),
    _word(
        "strip",
        f"TCP options that are taken out ({', '.join(OPTIONS)}); NOPs take their place, and the checksum follows.",
        "do: {set: {strip: [wscale, sack]}}",
    ),
    _word(
        "connection state",
        "As the frame itself makes it: syn_sent by a SYN, syn_received by its SYN-ACK, established by the ACK of"
        " that, closing by the first FIN, closed by the last ACK or any RST.",
        "when: {from: client, state: established}",
        *STATES,
    ),
    _word(
        "has",
        "At least these flags, whatever else is set. Without it exactly these: R does not mean R. (RST and ACK).",
        "when: {from: server, flags: has R}",
    ),
    _word(
        "fired",
        "A fault has fired, or an event has happened: in an endpoint's or a script's pause, and for other faults.",
        "do: [pause: {until: cut fired}, send: 1 KiB]; when: {after: cut, wait: 500ms}",
    ),
)  # fmt: skip

FAULT_WORDS = (
    *(_match(name, example) for name, example in MATCHES.items()),
    *(_match(name, f"{name}: {OTHER_FIELDS.get(name, '7')}") for name in FIELD_KEYS),
    *(_action(name, example) for name, example in ACTIONS.items()),
    *WORDS,
)
