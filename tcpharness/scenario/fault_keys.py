"""The keys of `faults`: which frame is meant (`when`), and what is done with it (`do`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tcpharness.packet.spec import SegmentSpec
from tcpharness.scenario import quantity as q
from tcpharness.scenario.compound import ByKind, Fields, Key, ListOf, Made, OneVerb, Table, Verb
from tcpharness.scenario.endpoint_keys import PAYLOAD_TEXT
from tcpharness.scenario.event import Cut
from tcpharness.scenario.event_keys import CONDITION_KEYS, EVENT_KEYS, LAB_VERBS, condition
from tcpharness.scenario.model import Action, Fault, Match, Place
from tcpharness.scenario.network_keys import HOST, TIME
from tcpharness.scenario.outline import LinkFact, fault_name
from tcpharness.scenario.problem import listed, one_of, quoted
from tcpharness.scenario.shape import (
    SWITCH,
    TEXT,
    WRONG,
    Scalar,
    Scope,
    choice,
    integer,
    pattern,
    quantity,
    reference,
)
from tcpharness.scenario.yaml_tree import Node

COUNT = quantity(q.count, q.COUNT, r"^([0-9]+|[0-9]+ ?\.\.|\.\. ?[0-9]+|[0-9]+ ?\.\. ?[0-9]+)$")
NTH = integer(1, 1 << 40, "a number")
SIXTEEN_BITS = integer(0, 0xFFFF)
THIRTYTWO_BITS = integer(0, 0xFFFFFFFF)
BYTE = integer(0, 255)

FLAG_LETTERS = "FSRP.UEWe"  # tcpdump's, with e for AE (RFC 9768)
FLAGS_EXPECTED = (
    "flags in tcpdump's letters, such as S. or none (S SYN, . ACK, F FIN, R RST, P PSH, U URG, E ECE, W CWR)"
)


def _flag_letters(text: str) -> str:
    if text == "none":
        return text
    known = text and set(text) <= set(FLAG_LETTERS)
    if not known or len(set(text)) < len(text):
        raise ValueError(f"are no flags; expected {FLAGS_EXPECTED}")
    return text


def _flags(node: Node, scope: Scope) -> str:
    return _flag_letters(node.value)


def _flags_or_has(node: Node, scope: Scope) -> dict[str, str]:
    word, _, letters = node.value.partition(" ")
    if word == "has":
        return {"flags_has": _flag_letters(letters.strip())}
    return {"flags": _flag_letters(node.value)}


FLAGS = Scalar(FLAGS_EXPECTED, _flags, {"type": "string"})
MATCH_FLAGS = Scalar(f"{FLAGS_EXPECTED}, or has R", _flags_or_has, {"type": "string"})

# Header fields by the names of SegmentSpec (RFC 9293 section 3.1, RFC 7323, RFC 2018, RFC 791).
FIELD_KEYS: dict[str, Key] = {
    "sport": Key(SIXTEEN_BITS, "Source port."),
    "dport": Key(SIXTEEN_BITS, "Destination port."),
    "seq": Key(THIRTYTWO_BITS, "Sequence number, as on the wire."),
    "ack": Key(THIRTYTWO_BITS, "Acknowledgment number, as on the wire."),
    "win": Key(SIXTEEN_BITS, "Window field, not scaled."),
    "urg": Key(SIXTEEN_BITS, "Urgent pointer."),
    "cksum": Key(SIXTEEN_BITS, "TCP checksum."),
    "offset": Key(integer(0, 15), "Data offset, in 32-bit words."),
    "reserved": Key(integer(0, 15), "Reserved bits."),
    "mss": Key(SIXTEEN_BITS, "Maximum segment size option."),
    "wscale": Key(BYTE, "Window scale option."),
    "sack_ok": Key(SWITCH, "SACK-permitted option."),
    "tsval": Key(THIRTYTWO_BITS, "Timestamp value."),
    "tsecr": Key(THIRTYTWO_BITS, "Timestamp echo reply."),
    "ttl": Key(BYTE, "TTL, or IPv6 hop limit."),
    "tos": Key(BYTE, "Type of service, or IPv6 traffic class."),
    "id": Key(SIXTEEN_BITS, "IPv4 identification."),
    "df": Key(SWITCH, "IPv4 don't fragment."),
    "ip_cksum": Key(SIXTEEN_BITS, "IPv4 header checksum."),
    "ip_len": Key(SIXTEEN_BITS, "IPv4 total length, or IPv6 payload length."),
}


def _spec(fields: Fields, *without: str, **more: Any) -> SegmentSpec:
    names = [name for name in FIELD_KEYS if name not in without]
    return SegmentSpec(**fields.only(*names), **more)


# --- when


def _contained(text: str, at: Place, scope: Scope) -> bytes:
    return text.encode()


STATES = ("syn_sent", "syn_received", "established", "closing", "closed")


def _times(text: str) -> int | None:
    return None if text == "every" else int(text)


MATCH_KEYS: dict[str, Key] = {
    "from": Key(HOST, "The host on this link that the frame comes from."),
    "to": Key(HOST, "The host on this link that it goes to."),
    "flow": Key(reference("endpoint"), "Only the connections of this connecting endpoint."),
    "flags": Key(MATCH_FLAGS, "Exactly these flags (S.), or at least these (has R)."),
    "nth": Key(NTH, "Of the frames that satisfy all else, this one; counted per flow and direction."),
    "data": Key(NTH, "The segment that carries the nth piece of new payload, and its retransmissions."),
    "byte": Key(NTH, "The segment that carries this byte of the stream, from 1, and its retransmissions."),
    "contains": Key(Made(TEXT, _contained), "Its payload contains this text."),
    "retransmitted": Key(SWITCH, "true: only what was sent before; false: only what was not."),
    "len": Key(COUNT, "Payload bytes."),
    "after": Key(reference("fault"), "Only once this fault has fired."),
    "time": Key(TIME, "Only this long after the traffic's start."),
    "state": Key(choice(*STATES), "Only while the connection is in this state."),
    "times": Key(
        pattern("[1-9][0-9]{0,8}|every", "a number from 1, or every", _times),
        "How often it fires, per flow (default: 1), or every time.",
    ),
    **CONDITION_KEYS,
    **FIELD_KEYS,
}


def _match(fields: Fields) -> Any:
    if "data" in fields and "byte" in fields:
        return fields.wrong("byte", "data and byte both name the segment; expected one of them")
    if fields.get("from") is not None and fields.get("from") == fields.get("to"):
        return fields.wrong("to", "from and to are the same host; expected two")
    endpoints = fields.scope.outline.endpoints or {}
    flow = endpoints.get(fields.get("flow", ""))
    if flow is not None and flow.kind == "listen":
        connecting = [name for name, fact in endpoints.items() if fact.kind == "connect"]
        return fields.wrong("flow", f"{fields.get('flow')} does not connect; expected {listed(connecting)}")
    endpoint_state = condition(fields)
    if endpoint_state is WRONG:
        return WRONG
    given = fields.only(
        "endpoint", "flow", "nth", "data", "byte", "contains", "retransmitted", "after", "state", "times"
    )
    return Match(
        at=fields.at,
        sender=fields.get("from"),
        receiver=fields.get("to"),
        payload_len=fields.get("len"),
        time_ns=fields.get("time"),
        endpoint_state=endpoint_state,
        wait_ns=fields.get("wait", 0),
        fields=_spec(fields),
        **fields.get("flags", {}),
        **given,
    )


WHEN = Table("when", MATCH_KEYS, _match, nullable=True)


# --- do

CHECKSUM = Key(choice("fix", "keep"), "fix: recomputed; keep: left as it was.")

CORRUPT = ByKind(
    scalar=Made(
        choice("tcp", "ip", "payload"),
        lambda what, at, scope: {"what": what, "byte": 1 if what == "payload" else None, "fix": False},
    ),
    mapping=Table(
        "corrupt",
        {
            "byte": Key(NTH, "This byte of the segment's payload, from 1.", required=True),
            "bit": Key(integer(0, 7), "This bit of it (default: 0)."),
            "checksum": CHECKSUM,
        },
        lambda fields: {
            "what": "payload",
            "byte": fields.get("byte"),
            "bit": fields.get("bit", 0),
            "fix": fields.get("checksum", "keep") == "fix",
        },
    ),
)

OPTIONS = ("mss", "wscale", "sack_ok", "sack", "timestamps")


def _set(fields: Fields) -> Any:
    spec = _spec(fields, **fields.only("flags"))
    if not spec.given() and not fields.get("strip"):
        return fields.scope.wrong(
            fields.at, f"set without a field; {one_of([*FIELD_KEYS, 'flags', 'strip'])}"
        )
    return {"fields": spec, "strip": fields.get("strip", ()), "fix": fields.get("checksum", "fix") == "fix"}


SET = Table(
    "set field",
    {
        "flags": Key(FLAGS, "The flags."),
        **FIELD_KEYS,
        "strip": Key(
            ListOf(choice(*OPTIONS), "a list of TCP options", least=1, single=True),
            "TCP options to take out.",
        ),
        "checksum": CHECKSUM,
    },
    _set,
)

SWAPPED = Key(SWITCH, "on: the second piece goes first (default: off).")
SPLIT_AT = integer(1, 65535, "a number of payload bytes")
SPLIT = ByKind(
    scalar=Made(SPLIT_AT, lambda value, at, scope: {"cut_at": value}),
    mapping=Table(
        "split",
        {
            "at": Key(SPLIT_AT, "So many payload bytes are in the first piece.", required=True),
            "overlap": Key(
                integer(1, 65535, "a number of payload bytes"),
                "So many of them are in the second piece again.",
            ),
            "swapped": SWAPPED,
        },
        lambda fields: {"cut_at": fields.get("at"), **fields.only("overlap", "swapped")},
    ),
)


def _eighths(value: int, at: Place, scope: Scope) -> Any:
    if value % 8:
        # RFC 791 3.1: the offset is counted in units of eight bytes.
        return scope.wrong(
            at, f"{value} is no multiple of 8, and fragments begin at one; expected {value - value % 8 + 8}"
        )
    return {"cut_at": value}


FRAGMENT_AT = Made(integer(8, 65528, "a number of bytes"), _eighths)
FRAGMENT = ByKind(
    scalar=FRAGMENT_AT,
    mapping=Table(
        "fragment",
        {
            "at": Key(
                FRAGMENT_AT,
                "So many bytes behind the IP header are in the first piece, a multiple of 8.",
                required=True,
            ),
            "swapped": SWAPPED,
        },
        lambda fields: {**fields.get("at"), **fields.only("swapped")},
    ),
)

SEQ_PATTERN = r"(?:next|rcv_nxt|in_window|out_of_window)(?: ?[+-] ?[0-9]{1,10})?|[0-9]{1,10}"
SEQ = pattern(
    SEQ_PATTERN,
    "next, rcv_nxt, in_window, out_of_window, one of them + or - a number, or a number",
    lambda text: text.replace(" ", ""),
)


def _inject(fields: Fields) -> Any:
    if fields.get("to") is not None and fields.get("to") == fields.get("from"):
        return fields.wrong("from", "from and to are the same host; expected two")
    return {
        "sender": fields.get("from"),
        "receiver": fields.get("to"),
        "payload": fields.get("text", "").encode(),
        "fields": _spec(fields, "seq", "ack", **fields.only("flags")),
        **fields.only("seq", "ack"),
    }


INJECT = Table(
    "inject",
    {
        "to": Key(HOST, "The host that gets the segment (default: where the matched frame was going)."),
        "from": Key(HOST, "The host that it pretends to come from (default: the other one)."),
        "flags": Key(FLAGS, "The flags (default: .)."),
        **FIELD_KEYS,
        "seq": Key(
            SEQ, "Sequence number: next, rcv_nxt, in_window, out_of_window, with + or - n; or a number."
        ),
        "ack": Key(SEQ, "Acknowledgment number, in the same words."),
        "text": PAYLOAD_TEXT,
    },
    _inject,
)

SIGNALS = ("KILL", "TERM", "INT", "HUP", "QUIT", "ABRT", "STOP", "CONT", "USR1", "USR2")


def _killed(endpoint: str, at: Place, scope: Scope, signal: str = "KILL") -> Any:
    fact = (scope.outline.endpoints or {}).get(endpoint)
    if fact is not None and not fact.process:
        return scope.wrong(
            at, f"{quoted(endpoint)} is no process; expected one with process: on, or with run"
        )
    return {"endpoint": endpoint, "signal": signal}


KILL = ByKind(
    scalar=Made(reference("endpoint"), _killed),
    mapping=Table(
        "kill",
        {
            "endpoint": Key(reference("endpoint"), "An endpoint that is a process.", required=True),
            "signal": Key(choice(*SIGNALS), "The signal (default: KILL)."),
        },
        lambda fields: _killed(
            fields.get("endpoint"), fields.place("endpoint"), fields.scope, fields.get("signal", "KILL")
        ),
    ),
)


def _signalled(signal: str) -> Made:
    return Made(reference("endpoint"), lambda endpoint, at, scope: _killed(endpoint, at, scope, signal))


SIGNAL_VERBS = {
    "stop": ("STOP", "An endpoint's process is stopped: it has its sockets, and does nothing."),
    "continue": ("CONT", "It goes on."),
}


def _number(key: str, what: str, low: int = 1) -> Made:
    return Made(integer(low, 1_000_000, what), lambda value, at, scope: {key: value})


def _action(verb: str, value: Any, at: Place, scope: Scope) -> Action:
    if verb in LAB_VERBS:
        return Action(do="lab", at=at, **(value or {"change": Cut("", verb == "down")}))
    if verb in SIGNAL_VERBS:
        return Action(do="kill", at=at, **value)
    return Action(do=verb, at=at, **(value or {}))  # type: ignore[arg-type]


ACTION = OneVerb(
    "action",
    {
        "drop": Verb(None, "The frame never arrives."),
        "delay": Verb(
            Made(TIME, lambda value, at, scope: {"delay_ns": value}), "It arrives this much later."
        ),
        "duplicate": Verb(
            _number("copies", "a number of copies"), "It arrives so many times more.", bare=True
        ),
        "hold": Verb(
            _number("segments", "a number of segments"),
            "It waits until so many later frames of its flow and direction have passed.",
        ),
        "corrupt": Verb(
            CORRUPT, "tcp or ip: that checksum is wrong; payload or {byte, bit}: a bit is flipped."
        ),
        "set": Verb(SET, "Header fields or TCP options are changed; checksums follow unless checksum: keep."),
        "split": Verb(SPLIT, "It arrives as two segments, the first with so many payload bytes."),
        "fragment": Verb(FRAGMENT, "It arrives as two IP fragments, the first with so many bytes."),
        "inject": Verb(INJECT, "A crafted segment is sent as well, before the matched frame goes on."),
        "kill": Verb(KILL, "An endpoint's process gets a signal."),
        **{verb: Verb(_signalled(signal), about) for verb, (signal, about) in SIGNAL_VERBS.items()},
        **LAB_VERBS,
    },
    _action,
)


# --- faults


def _fault(fields: Fields) -> Any:
    actions = fields.get("do")
    when = fields.nodes["when"][1]
    is_event = all(action.do in ("lab", "kill") for action in actions) and all(
        key.value in EVENT_KEYS for key, _ in when.pairs
    )
    if fields.get("when").wait_ns and not is_event:
        return fields.wrong("when", "wait is for events, which ask about no frame; expected do: {delay: ...}")
    link = LinkFact(fields.get("link", ""), ()) if is_event else _link_of(fields)
    if link is None:
        return WRONG
    actions = _with_links(actions, link, fields)
    if actions is None:
        return WRONG
    for action in actions:
        if action.do == "inject":
            _on_link((action.sender, action.receiver), link, fields, "do")
    # The number is the fault's place in the list; `_faults` gives the default name.
    return Fault(
        fields.get("name", ""), "" if is_event else link.name, fields.get("when"), actions, fields.at
    )


def _with_links(actions: Sequence[Action], link: LinkFact, fields: Fields) -> tuple[Action, ...] | None:
    """`down` and `up` alone mean the fault's own link, or the only one."""
    links = fields.scope.outline.links or []
    found: list[Action] = []
    for action in actions:
        if isinstance(action.change, Cut) and not action.change.link:
            name = link.name or (links[0].name if len(links) == 1 else "")
            names = listed(each.name for each in links)
            if not name:
                fields.scope.wrong(action.at, f"which link; expected {names or 'links: [[..., ...]]'}")
                return None
            action = replace(action, change=Cut(name, action.change.down))
        found.append(action)
    return tuple(found)


def _link_of(fields: Fields) -> LinkFact | None:
    """The link of a fault: the one named, or the only one that it can mean."""
    links = fields.scope.outline.links
    if links is None:
        return LinkFact("", ())  # the links are wrong, and that is reported
    if not links:
        fields.scope.wrong(fields.at, "a fault without a link to happen on; expected links: [[..., ...]]")
        return None
    when = fields.get("when")
    hosts = [host for host in (when.sender, when.receiver) if host]
    if "link" in fields:
        named = next(link for link in links if link.name == fields.get("link"))
        return named if _on_link(hosts, named, fields, "when") else None
    return _only_link(links, hosts, fields)


def _only_link(links: Sequence[LinkFact], hosts: Sequence[str], fields: Fields) -> LinkFact | None:
    fitting = [link for link in links if set(hosts) <= set(link.hosts)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        names = listed(f"{link.name} ({listed(link.hosts)})" for link in links)
        fields.wrong("when", f"no link has {' and '.join(hosts)}; expected hosts of one of {names}")
    else:
        names = listed(link.name for link in fitting)
        fields.scope.wrong(fields.at, f"the fault fits several links; expected link: one of {names}")
    return None


def _on_link(hosts: Sequence[str | None], link: LinkFact, fields: Fields, key: str) -> bool:
    missing = [host for host in hosts if host is not None and host not in link.hosts]
    if link.name and missing:
        fields.wrong(key, f"{missing[0]} is not on link {link.name}; expected one of {listed(link.hosts)}")
    return not missing


FAULT = Table(
    "fault",
    {
        "name": Key(TEXT, "How expectations and other faults call it (default: fault 1, fault 2, ...)."),
        "link": Key(reference("link"), "The link it happens on, where several fit."),
        "when": Key(WHEN, "Which frame is meant; what is left out does not matter.", required=True),
        "do": Key(
            ListOf(ACTION, "an action or a list of them", least=1, single=True),
            "What is done.",
            required=True,
        ),
    },
    _fault,
)


def _named(faults: Sequence[Any], scope: Scope) -> Iterator[Fault]:
    seen: dict[str, Place] = {}
    for number, fault in enumerate(faults, 1):
        name = fault.name or fault_name(number)
        if name in seen:
            scope.wrong(fault.at, f"duplicate fault {quoted(name)}; first at {seen[name]}")
        if fault.when.after == name:
            scope.wrong(fault.when.at, f"{quoted(name)} would wait for itself; expected another fault")
        seen[name] = fault.at
        yield Fault(name, fault.link, fault.when, fault.do, fault.at)


def _faults(faults: Sequence[Any], at: Place, scope: Scope) -> tuple[Fault, ...]:
    named = tuple(_named(faults, scope))
    _check_circles({fault.name: fault for fault in named}, scope)
    return named


def _check_circles(faults: dict[str, Fault], scope: Scope) -> None:
    """Faults of which each waits for another one never happen."""
    told: set[str] = set()
    for fault in faults.values():
        chain = [fault.name]
        while (after := faults[chain[-1]].when.after) in faults and after not in chain:
            chain.append(after)
        if after == fault.name and len(chain) > 1 and not told & set(chain):
            told |= set(chain)
            circle = ", which waits for ".join(quoted(name) for name in [*chain[1:], fault.name])
            scope.wrong(
                fault.when.at, f"{quoted(fault.name)} waits for {circle}; expected one that needs no other"
            )


FAULTS = Made(ListOf(FAULT, "a list of faults"), _faults)
