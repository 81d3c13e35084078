"""The keys of `expect` and `capture`: what must be seen, and with what eyes."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario import quantity as q
from tcpharness.scenario.compound import ByKind, Fields, Key, ListOf, Made, MapOf, Table
from tcpharness.scenario.fault_keys import COUNT, SIGNALS
from tcpharness.scenario.impairment import ACTS
from tcpharness.scenario.model import (
    Capture,
    Count,
    CounterExpect,
    EndpointExpect,
    Expect,
    FaultExpect,
    FindingExpect,
    ImpairedExpect,
    Place,
    VantageExpect,
)
from tcpharness.scenario.monitor_use_keys import expected, monitors
from tcpharness.scenario.network_keys import HOST
from tcpharness.scenario.problem import one_of, quoted, unknown
from tcpharness.scenario.setting_keys import SETTINGS
from tcpharness.scenario.shape import (
    SWITCH,
    TEXT,
    Named,
    Scope,
    Unknown,
    choice,
    integer,
    pattern,
    quantity,
    reference,
)
from tcpharness.scenario.socket_keys import PORTS, SOCKETS
from tcpharness.scenario.trace_keys import TRACEPOINTS
from tcpharness.scenario.until import UNTIL
from tcpharness.scenario.yaml_tree import Node

VANTAGE = reference("vantage")
FINDING = reference("finding")
AT_LEAST_ONE = Count(1, None, "1..")


def _vantage(node: Node, scope: Scope) -> str:
    """A vantage, with a hint where a host has several interfaces."""
    known = scope.outline.names("vantage")
    if known is not None and node.value not in known:
        own = [name for name in known if name.startswith(f"{node.value}.")]
        if own:
            raise Unknown(f"{node.value} has several interfaces; {one_of(own)}")
        raise Unknown(unknown("vantage", node.value, known))
    return scope.outline.vantages.get(node.value, node.value)


WATCHED = Named("a vantage", _vantage, {})
MONITORS = monitors(WATCHED)

# --- findings


def _finding(fields: Fields) -> Any:
    name = fields.name
    kinds = _kinds(name, fields.scope)
    kind = fields.get("kind")
    if kind is not None and kinds and kind not in kinds:
        return fields.wrong("kind", unknown(f"kind of {name}", kind, kinds))
    given = fields.only("kind", "of", "before", "after")
    return FindingExpect(name=name, count=fields.get("count", AT_LEAST_ONE), at=fields.at, **given)


def _kinds(name: str, scope: Scope) -> tuple[str, ...]:
    findings: Any = scope.outline.findings
    return tuple(findings.get(name, ())) if isinstance(findings, dict) else ()


FINDING_TABLE = Table(
    "finding",
    {
        "count": Key(COUNT, 'How many (default: "1..").'),
        "kind": Key(pattern("[a-z0-9_]+", "the name of a kind"), "Only those of this kind."),
        "of": Key(reference("fault"), "They concern the segment that this fault named."),
        "before": Key(FINDING, "The first of them comes before the first of these at this vantage."),
        "after": Key(FINDING, "The first of them comes after the first of these at this vantage."),
    },
    _finding,
)


def _counted(count: Count, at: Place, scope: Scope) -> tuple[FindingExpect, ...]:
    return (FindingExpect(scope.name, count, at),)


FINDING_SPEC = ByKind(
    scalar=Made(COUNT, _counted),
    mapping=Made(FINDING_TABLE, lambda finding, at, scope: (finding,)),
    list=ListOf(FINDING_TABLE, "a list of {count, kind, of, before, after}", least=1),
)


def _flat(found: dict[str, tuple[FindingExpect, ...]], at: Place, scope: Scope) -> tuple[FindingExpect, ...]:
    return tuple(finding for several in found.values() for finding in several)


FINDINGS_EXPECTED = "a mapping of findings to counts; {} demands silence"
FINDINGS = Made(MapOf(FINDING, FINDING_SPEC, FINDINGS_EXPECTED, name="finding_counts"), _flat)


def _of_vantage(found: dict[str, Any], at: Place, scope: Scope) -> VantageExpect:
    alternatives = found.pop("one_of", ())
    return VantageExpect(scope.name, at, _flat(found, at, scope), alternatives)


ALTERNATIVES = Key(
    ListOf(FINDINGS, "a list of such mappings", least=2),
    "Alternatives: exactly what one of these mappings says, besides the rest.",
)
VANTAGE_FINDINGS = Made(
    MapOf(FINDING, FINDING_SPEC, FINDINGS_EXPECTED, {"one_of": ALTERNATIVES}, name="vantage_findings"),
    _of_vantage,
)
ANY = Key(VANTAGE_FINDINGS, "At one watched vantage or another.")


# --- endpoints, counters, faults, captures

# What connect, send and receive end with (connect(2), tcp(7)), and the harness' own words.
ERRORS = (
    "none",
    "ECONNRESET",
    "ECONNREFUSED",
    "ECONNABORTED",
    "ETIMEDOUT",
    "EPIPE",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "EADDRINUSE",
    "EADDRNOTAVAIL",
    "EACCES",
    "EPERM",
    "ENOTCONN",
    "ENETDOWN",
    "ENOBUFS",
    "EPROTO",
    "EMSGSIZE",
    "EINVAL",
    "mismatch",  # a payload byte was not what was sent
    "EOF",  # the other side finished before all was received
    "unexpected",  # a script got another segment than expected
    "silence",  # a script waited for a segment, and none came
    *(f"SIG{name}" for name in SIGNALS),  # process: on, ended by a signal
)

SIZE_COUNT = quantity(q.size_count, q.SIZE, r"^[0-9. ]*((B|kB|KiB|MB|MiB|GiB)[0-9. ]*)*$")
TIME_COUNT = quantity(q.time_count, q.TIME, r"^[0-9. ]*((ns|us|ms|s|m)[0-9. ]*)*$")
RATE_COUNT = quantity(q.rate_count, q.RATE, r"^[0-9. ]*((bit|kbit|mbit|gbit)[0-9. ]*)*$")
EXIT_STATUS = Made(
    ByKind(scalar=integer(-64, 255, "an exit status (negative: a signal)")),
    lambda status, at, scope: Count(status, status, str(status)),
)

TOOK = Made(
    MapOf(
        Named("an alternative's name", lambda node, scope: node.value, {"type": "string"}),
        COUNT,
        "a mapping of alternatives to counts",
    ),
    lambda found, at, scope: tuple(found.items()),
)

# What an endpoint of a kind can be asked for.
ENDPOINT_EXPECT: dict[str, Key] = {
    "error": Key(
        ListOf(choice(*ERRORS), "an error's name, none, or a list of them", least=1, single=True),
        "How it ends: none, an error, or one of several (default: as its steps say).",
    ),
    "sent": Key(SIZE_COUNT, "Payload bytes sent."),
    "received": Key(SIZE_COUNT, "Payload bytes received."),
    "throughput": Key(
        RATE_COUNT, 'Payload bits per second, of what came after its first read: "..50mbit", "1mbit..".'
    ),
    "duration": Key(TIME_COUNT, "From its first connection's opening to the last one's end: \"..1s\"."),
    "exit": Key(EXIT_STATUS, "run, or process: on: the exit status (negative: the signal that ended it)."),
    "output": Key(
        ListOf(TEXT, "text, or a list of texts", least=1, single=True),
        "run: its output contains this, or all of these. Any white space is as good as another.",
    ),
    "took": Key(TOOK, "script: how many conversations took which alternative of an `any of`."),
}
ONLY_RUN = ("output",)
ONLY_SCRIPT = ("took",)
ONLY_PROCESS = ("exit",)
NOT_RUN = ("error", "sent", "received", "throughput", "duration")


def _endpoint(fields: Fields) -> Any:
    fact = (fields.scope.outline.endpoints or {}).get(fields.name)
    if fact is not None and fact.kind is not None:
        refused = {
            **dict.fromkeys(ONLY_RUN if fact.kind != "run" else (), "has no output"),
            **dict.fromkeys(ONLY_PROCESS if not fact.process else (), "is no process"),
            **dict.fromkeys(ONLY_SCRIPT if not fact.branches else (), "has no alternatives to take"),
            **dict.fromkeys(NOT_RUN if fact.kind == "run" else (), "is a program"),
        }
        for key in [key for key in fields.nodes if key in refused]:
            rest = [name for name in ENDPOINT_EXPECT if name not in refused]
            return fields.wrong(key, f"{fields.name} {refused[key]}; {one_of(rest)}")
        for name, _ in fields.get("took", ()):
            if name not in fact.branches:
                return fields.wrong("took", unknown("alternative", name, fact.branches))
    return EndpointExpect(name=fields.name, at=fields.at, **fields.values)


ENDPOINTS = MapOf(
    reference("endpoint"),
    Table("expected endpoint", ENDPOINT_EXPECT, _endpoint),
    "a mapping of endpoints",
)

COUNTER = pattern(
    r"(Ip|Ip6|Icmp|Icmp6|IcmpMsg|Tcp|TcpExt|Udp|Udp6|IpExt|MPTcpExt)?[A-Z][A-Za-z0-9]{2,60}",
    "a counter as nstat prints it, such as TcpRetransSegs or TcpExtTCPTimeouts",
)


def _counters(
    found: dict[str, dict[str, CounterExpect]], at: Place, scope: Scope
) -> tuple[CounterExpect, ...]:
    return tuple(counter for of_host in found.values() for counter in of_host.values())


def _counter(count: Count, at: Place, scope: Scope) -> tuple[str, Count, Place]:
    return (scope.name, count, at)


def _of_host(found: dict[str, tuple[str, Count, Place]], at: Place, scope: Scope) -> dict[str, CounterExpect]:
    return {name: CounterExpect(scope.name, name, count, place) for name, count, place in found.values()}


COUNTERS = Made(
    MapOf(
        HOST,
        Made(MapOf(COUNTER, Made(COUNT, _counter), "a mapping of counters to counts"), _of_host),
        "a mapping of hosts",
    ),
    _counters,
)

FAULTS = Made(
    MapOf(
        reference("fault"),
        Made(COUNT, lambda count, at, scope: FaultExpect(scope.name, count, at)),
        "a mapping of faults to counts",
    ),
    lambda found, at, scope: tuple(found.values()),
)

CAPTURE_FIGURES = MapOf(
    VANTAGE,
    Table(
        "expected capture",
        {
            "captured": Key(COUNT, "Packets that tcpdump captured."),
            "received": Key(COUNT, "Packets that its filter let through."),
            "dropped": Key(COUNT, "Packets that the kernel dropped (default: 0)."),
        },
        lambda fields: dict(fields.values),
    ),
    "a mapping of vantages",
)


def _findings(found: dict[str, VantageExpect], at: Place, scope: Scope) -> tuple[VantageExpect, ...]:
    return tuple(found.values())


def _impaired(found: dict[str, tuple[Count, Place]], at: Place, scope: Scope) -> tuple[ImpairedExpect, ...]:
    return tuple(ImpairedExpect(scope.name, act, count, place) for act, (count, place) in found.items())


IMPAIRED = Made(
    MapOf(
        HOST,
        Made(
            MapOf(choice(*ACTS), Made(COUNT, lambda count, at, scope: (count, at)), "a mapping of counts"),
            _impaired,
        ),
        "a mapping of hosts",
    ),
    lambda found, at, scope: tuple(each for of_host in found.values() for each in of_host),
)


def _expect(fields: Fields) -> Any:
    if not fields.nodes:
        return fields.scope.wrong(
            fields.at, f"it expects nothing, so it would prove nothing; {one_of(EXPECT_KEYS)}"
        )
    return Expect(at=fields.at, **fields.values)


EXPECT_KEYS: dict[str, Key] = {
    "findings": Key(
        Made(
            MapOf(WATCHED, VANTAGE_FINDINGS, "a mapping of vantages", {"any": ANY}),
            _findings,
        ),
        "Vantage -> finding -> count. Whatever else is found there, from warning up, fails the scenario.",
    ),
    "endpoints": Key(
        Made(ENDPOINTS, lambda found, at, scope: tuple(found.values())),
        "How endpoints ended, and what they moved.",
    ),
    "counters": Key(COUNTERS, "Host -> kernel counter -> by how much it grew."),
    "sockets": Key(SOCKETS, "Host -> what its TCP sockets show at a moment, as `ss -ti` would."),
    "ports": Key(PORTS, "Host -> listening port -> endpoint or program behind it; no other port may listen."),
    "settings": Key(
        SETTINGS, "Host -> what sysctl, ip route, ethtool -k and nft list would show of it, at the end."
    ),
    "tracepoints": Key(TRACEPOINTS, "Host -> kernel tracepoint -> how often it was passed for its flows."),
    "monitors": Key(
        expected(WATCHED), "Monitor -> vantage -> finding -> count; and nothing else from warning up."
    ),
    "faults": Key(FAULTS, "Fault -> how often it fired (default: at least once each)."),
    "impairments": Key(IMPAIRED, "Host -> what links did to frames that it sent -> how many of them."),
    "capture": Key(CAPTURE_FIGURES, "Vantage -> tcpdump's closing figures."),
}
EXPECT = Table("expect", EXPECT_KEYS, _expect, nullable=True)


# --- capture


def _kib(size: int, at: Place, scope: Scope) -> Any:
    if size % 1024 or not size:
        return scope.wrong(at, "tcpdump counts its buffer in KiB; expected whole KiB, such as 64 KiB")
    return size // 1024


def _capture(fields: Fields) -> Any:
    if fields.get("names") and not fields.get("text"):
        return fields.wrong(
            "names", "names are looked up only when packets are printed; expected text: true as well"
        )
    given = fields.only("filter", "snaplen", "count", "names", "text", "stall", "off")
    return Capture(vantage=fields.name, at=fields.at, buffer_kib=fields.get("buffer"), **given)


def _only_off(word: str, at: Place, scope: Scope) -> Capture:
    return Capture(vantage=scope.name, at=at, off=True)


CAPTURE_TABLE = Table(
    "capture",
    {
        "filter": Key(TEXT, "tcpdump's filter expression."),
        "snaplen": Key(integer(24, 262144, "a number of bytes"), "-s: bytes kept of each packet."),
        "buffer": Key(
            Made(quantity(q.size_bytes, q.SIZE, r"^[0-9]+ ?(KiB|MiB)$"), _kib), "-B: the kernel's buffer."
        ),
        "count": Key(integer(1, 1 << 30), "-c: it ends after so many packets."),
        "names": Key(SWITCH, "Addresses are looked up: without -n (needs text: true)."),
        "text": Key(SWITCH, "Packets are printed instead of kept: no findings from here."),
        "stall": Key(
            ByKind(
                scalar=UNTIL,
                mapping=Table("stall", {"until": Key(UNTIL, "", required=True)}, lambda f: f.get("until")),
            ),
            "tcpdump is stopped from the start of traffic until this is so.",
        ),
        "off": Key(SWITCH, "Nothing is captured here."),
    },
    _capture,
)

CAPTURES = Made(
    MapOf(
        WATCHED,
        ByKind(scalar=Made(choice("off"), _only_off), mapping=CAPTURE_TABLE),
        "a mapping of vantages",
    ),
    lambda found, at, scope: tuple(found.values()),
)


def check_watched(captures: tuple[Capture, ...], expect: Expect, scope: Scope) -> None:
    """What is expected at a vantage must be visible there."""
    blind = {c.vantage: "off" if c.off else "text" for c in captures if c.off or c.text}
    for vantage in expect.findings:
        if vantage.vantage in blind:
            why = f"the capture of {vantage.vantage} is {blind[vantage.vantage]}, so nothing is found there"
            scope.wrong(vantage.at, f"{why}; expected another vantage, or the capture without it")
    for name in expect.capture:
        if blind.get(name) == "off":
            scope.wrong(
                expect.at, f"the capture of {quoted(name)} is off; expected its figures not to be asked for"
            )
