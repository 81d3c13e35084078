"""The keys of `monitors` and `expect.monitors`: which ones are under test where, and what they must say."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario.compound import ByKind, Fields, Key, ListOf, Made, MapOf, Table
from tcpharness.scenario.fault_keys import COUNT
from tcpharness.scenario.model import Count
from tcpharness.scenario.monitor import MonitorExpect, MonitorFindingExpect, MonitorUse
from tcpharness.scenario.monitor_keys import DESCRIPTION_KEYS, LEVEL, MONITOR_NAME, WORD, description_of
from tcpharness.scenario.place import Place
from tcpharness.scenario.problem import listed
from tcpharness.scenario.shape import TEXT, TIME, WRONG, Scope, Shape, pattern, reference

AT_LEAST_ONE = Count(1, None, "1..")
OWN = ("read", "live", "ask")


def _option(value: str, at: Place, scope: Scope) -> tuple[str, str, Place]:
    return (scope.name, value, at)


def _use(fields: Fields) -> Any:
    own = [key for key in OWN if key in fields]
    given = [key for key in ("use", "file") if key in fields]
    described = [key for key in fields.nodes if key in DESCRIPTION_KEYS and (key != "names" or own)]
    if len(given) > 1 or (given and described):
        text = f"it is described here and elsewhere ({listed([*given, *described])}); expected one of them"
        return fields.wrong(given[0], text)
    if described and not own:
        return fields.wrong(described[0], f"nothing says how it is started; expected one of {listed(OWN)}")
    if described and "output" not in fields:
        return fields.scope.wrong(fields.at, 'monitor description without "output"; expected a mapping')
    description = description_of(fields, fields.name) if described else None
    if description is WRONG:
        return WRONG
    return MonitorUse(
        name=fields.name,
        at=fields.at,
        use=fields.get("use", "" if given or described else fields.name),
        file=fields.get("file", ""),
        vantages=fields.get("at", ()),
        options=fields.get("with", ()),
        names=None if described else fields.get("names"),
        description=description,
    )


def use_keys(vantage: Shape) -> dict[str, Key]:
    own = {key: Key(rule.shape, rule.about) for key, rule in DESCRIPTION_KEYS.items()}
    return {
        "at": Key(
            ListOf(vantage, "a vantage, or a list of them", least=1, single=True),
            "Where it watches (default: where something is expected of it, else at every capture).",
        ),
        "use": Key(MONITOR_NAME, "The monitor of this name, where this one is called otherwise."),
        "file": Key(TEXT, "The file beside the scenario that describes it."),
        "with": Key(
            Made(
                MapOf(
                    pattern(r"[a-z][a-z0-9_]{0,29}", "an option's name"),
                    Made(WORD, _option),
                    "a mapping of options",
                ),
                lambda found, at, scope: tuple(found.values()),
            ),
            "Its options.",
        ),
        **own,
    }


def _by_name(name: str, at: Place, scope: Scope) -> MonitorUse:
    return MonitorUse(name=name, at=at, use=name)


def _nothing_more(node: None, at: Place, scope: Scope) -> MonitorUse:
    return MonitorUse(name=scope.name, at=at, use=scope.name)


def monitors(vantage: Shape) -> Shape:
    """`monitors: [tshark, suricata]`, or a mapping of names to what is special of them."""
    table = Table("monitor", use_keys(vantage), _use, nullable=True)
    return ByKind(
        list=ListOf(Made(MONITOR_NAME, _by_name), "a list of monitors"),
        mapping=Made(
            MapOf(MONITOR_NAME, table, "a mapping of monitors"),
            lambda found, at, scope: tuple(found.values()),
        ),
    )


# --- expect.monitors

FINDING_NAME = pattern(r"[^\s].{0,199}", "a finding's name, a detector's or the monitor's own")
FINDING = Table(
    "expected of a monitor",
    {
        "count": Key(COUNT, 'How many (default: "1..").'),
        "flow": Key(reference("endpoint"), "Only those about this endpoint's connections."),
        "within": Key(TIME, "Only those that come so soon after the fault."),
        "of": Key(reference("fault"), "within: that fault (default: the first one)."),
    },
    lambda fields: _finding(fields),
)
RENAMED = {"within": "within_ns"}


def _finding(fields: Fields) -> Any:
    if "of" in fields and "within" not in fields:
        return fields.wrong("of", '"of" says from which fault "within" counts; expected within as well')
    if "within" in fields and not fields.scope.outline.faults:
        return fields.wrong("within", "there is no fault to count from; expected faults, or no within")
    given = {RENAMED.get(k, k): v for k, v in fields.values.items() if k != "count"}
    return MonitorFindingExpect(fields.name, fields.get("count", AT_LEAST_ONE), fields.at, **given)


def _counted(count: Count, at: Place, scope: Scope) -> MonitorFindingExpect:
    return MonitorFindingExpect(scope.name, count, at)


def _at_vantage(found: dict[str, Any], at: Place, scope: Scope) -> MonitorExpect:
    level = found.pop("else", "warning")
    findings = tuple(each for several in found.values() for each in _several(several))
    return MonitorExpect("", scope.name, at, findings, level)


def _several(found: Any) -> tuple[MonitorFindingExpect, ...]:
    return found if isinstance(found, tuple) else (found,)


def _of_monitor(found: dict[str, MonitorExpect], at: Place, scope: Scope) -> tuple[MonitorExpect, ...]:
    return tuple(MonitorExpect(scope.name, e.vantage, e.at, e.findings, e.level) for e in found.values())


def expected(vantage: Shape) -> Shape:
    """`monitor -> vantage -> finding -> count`."""
    spec = ByKind(
        scalar=Made(COUNT, _counted),
        mapping=FINDING,
        list=ListOf(FINDING, "a list of {count, flow, within, of}", least=1),
    )
    rest = Key(LEVEL, "What is not listed fails the scenario from this level up (default: warning).")
    at_vantage = Made(
        MapOf(FINDING_NAME, spec, "a mapping of findings to counts; {} demands silence", {"else": rest},
              name="monitor_findings"),
        _at_vantage,
    )  # fmt: skip
    of_one = Made(MapOf(vantage, at_vantage, "a mapping of vantages"), _of_monitor)
    return Made(
        MapOf(reference("monitor"), of_one, "a mapping of monitors"),
        lambda found, at, scope: tuple(e for several in found.values() for e in several),
    )
