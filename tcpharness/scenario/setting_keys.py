"""The keys of `expect.settings`: what `sysctl`, `ip route`, `ethtool -k` and `nft list` would show."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario.compound import Fields, Key, ListOf, Made, MapOf, Table
from tcpharness.scenario.fault_keys import COUNT
from tcpharness.scenario.model import Place, SettingExpect
from tcpharness.scenario.network_keys import HOST
from tcpharness.scenario.shape import SWITCH, TEXT, Named, Scope, pattern
from tcpharness.scenario.yaml_tree import Node

VALUE = pattern(r"[^\n]{1,200}", "a setting's value, as sysctl prints it")
WORDS = Named("words of a rule", lambda node, scope: node.value, {"type": "string"})
INTERFACE = Named("an interface", lambda node, scope: node.value, {"type": "string"})
# As `ethtool -k` names them.
FEATURES = (
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
    "scatter-gather",
    "tx-checksumming",
    "rx-checksumming",
)


def _sysctl_name(node: Node, scope: Scope) -> str:
    return node.value


def _pair(value: Any, at: Place, scope: Scope) -> tuple[str, Any, Place]:
    return (scope.name, value, at)


def _route(words: str, at: Place, scope: Scope) -> tuple[str, None, Place]:
    return (words, None, at)


def _values(found: dict[str, Any], at: Place, scope: Scope) -> tuple[Any, ...]:
    return tuple(found.values())


def _features(found: dict[str, bool], at: Place, scope: Scope) -> tuple[Any, ...]:
    return tuple((f"{scope.name} {name}", "on" if on else "off", at) for name, on in found.items())


def _flat(found: dict[str, tuple[Any, ...]], at: Place, scope: Scope) -> tuple[Any, ...]:
    return tuple(each for several in found.values() for each in several)


FEATURE = Table(
    "expected offload",
    {name: Key(SWITCH, "As `ethtool -k` shows it.") for name in FEATURES},
    lambda fields: dict(fields.values),
)
SETTING_KEYS: dict[str, Key] = {
    "sysctl": Key(
        Made(
            MapOf(
                Named("a setting's name", _sysctl_name, {"type": "string"}),
                Made(VALUE, _pair),
                "a mapping of settings to values",
                name="expected_sysctl",
            ),
            _values,
        ),
        "Setting -> its value; blanks count as one.",
    ),
    "routes": Key(
        ListOf(Made(TEXT, _route), "a list of routes", least=1),
        "Each is words that one route of the main table has: `10.0.0.0/24 rto_min 50ms`.",
    ),
    "offload": Key(
        Made(MapOf(INTERFACE, Made(FEATURE, _features), "a mapping of interfaces"), _flat),
        "Interface -> feature -> on or off.",
    ),
    "firewall": Key(
        Made(
            MapOf(WORDS, Made(COUNT, _pair), "a mapping of rules to packets", name="expected_rules"),
            _values,
        ),
        "Words of one rule -> packets that it has counted: `dport 81 drop`.",
    ),
}
KINDS = {"sysctl": "sysctl", "routes": "route", "offload": "offload", "firewall": "firewall"}


def _of_host(fields: Fields) -> Any:
    if not fields.nodes:
        return fields.scope.wrong(
            fields.at, "it asks for nothing; expected sysctl, routes, offload or firewall"
        )
    return tuple(
        SettingExpect(fields.name, KINDS[key], what, wanted, at)  # type: ignore[arg-type]
        for key, several in fields.values.items()
        for what, wanted, at in several
    )


SETTINGS = Made(
    MapOf(HOST, Table("expected settings", SETTING_KEYS, _of_host), "a mapping of hosts"),
    lambda found, at, scope: tuple(each for of_host in found.values() for each in of_host),
)
