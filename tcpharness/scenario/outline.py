"""What a scenario declares, gathered before it is read, so that every reference can be checked in place.

Tolerant on purpose: whatever cannot be understood here is left out and reported by the reading
proper. Where a whole section cannot be relied on its names are None, and nothing is checked
against them: one mistake, one message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from tcpharness.scenario.yaml_tree import Node

ENDPOINT_KINDS = ("listen", "connect", "run")
ENDPOINT_STATES = ("listening", "established", "blocked", "closed", "done")
# What each kind is ever seen to be: nobody looks into a program, and a script never finds its window closed.
SEEN = {
    "listen": ENDPOINT_STATES,
    "connect": ("established", "blocked", "closed", "done"),
    "run": ("closed", "done"),
    "run ready": ("listening", "closed", "done"),
    "listen script": ("listening", "established", "closed", "done"),
    "connect script": ("established", "closed", "done"),
}


@dataclass(slots=True, eq=False, repr=False)
class LinkFact:
    name: str
    hosts: tuple[str, ...]


@dataclass(slots=True, eq=False, repr=False)
class EndpointFact:
    on: str | None
    kind: str | None
    port: int | None  # where it can be connected to
    process: bool  # it can be killed
    states: tuple[str, ...] = ENDPOINT_STATES  # that can be waited for
    branches: tuple[str, ...] = ()  # the alternatives of a script


@dataclass(slots=True, eq=False, repr=False)
class Outline:
    """The declared names; None where the section is unusable."""

    hosts: list[str] | None = None
    links: list[LinkFact] | None = None
    endpoints: dict[str, EndpointFact] | None = None
    faults: list[str] | None = None
    findings: Collection[str] | None = None
    monitors: list[str] | None = None
    vantages: dict[str, str] = field(default_factory=dict)  # every spelling -> the one used from here on

    def names(self, kind: str) -> Collection[str] | None:
        """The known names of a kind: host, link, endpoint, fault, finding, monitor or vantage."""
        if kind == "link":
            return None if self.links is None else [link.name for link in self.links]
        if kind == "vantage":
            return None if self.hosts is None or self.links is None else self.vantages
        known: dict[str, Collection[str] | None] = {
            "host": self.hosts,
            "endpoint": self.endpoints,
            "fault": self.faults,
            "finding": self.findings,
            "monitor": self.monitors,
        }
        return known[kind]

    def links_of(self, host: str) -> list[LinkFact]:
        return [link for link in self.links or () if host in link.hosts]


def outline(root: Node, findings: Collection[str] | None) -> Outline:
    """The declarations of the scenario at `root`, a mapping."""
    sections = {key.value: value for key, value in root.pairs}
    found = Outline(
        hosts=_hosts(sections.get("hosts")),
        links=_links(sections.get("links")),
        endpoints=_endpoints(sections.get("endpoints")),
        faults=_faults(sections.get("faults")),
        findings=findings,
        monitors=[] if "monitors" not in sections else _hosts(sections["monitors"]),
    )
    found.vantages = _vantages(found)
    return found


def link_name(hosts: Collection[str]) -> str:
    return "-".join(hosts)


def fault_name(number: int) -> str:
    """The name of a fault that has none of its own; numbers count from 1."""
    return f"fault {number}"


def _hosts(node: Node | None) -> list[str] | None:
    if node is None:
        return None
    if node.kind == "mapping":
        return [key.value for key, _ in node.pairs]
    return _texts(node)


def _links(node: Node | None) -> list[LinkFact] | None:
    if node is None or node.is_null():
        return []
    if node.kind != "list":
        return None
    facts = []
    for item in node.items:
        keys = {"join": item} if item.kind == "list" else _keys(item)
        hosts = _texts(keys.get("join"))
        if hosts is None:
            return None
        facts.append(LinkFact(_text(keys.get("name")) or link_name(hosts), tuple(hosts)))
    return facts


def _endpoints(node: Node | None) -> dict[str, EndpointFact] | None:
    if node is None or node.is_null():
        return {}
    return (
        {key.value: _endpoint(_keys(value)) for key, value in node.pairs} if node.kind == "mapping" else None
    )


def _endpoint(keys: dict[str, Node]) -> EndpointFact:
    kind = next((kind for kind in ENDPOINT_KINDS if kind in keys), None)
    port = _text(keys.get("listen") or keys.get("ready")) or ""
    process = _text(keys.get("process")) in ("true", "on")
    return EndpointFact(
        on=_text(keys.get("on")),
        kind=kind,
        port=int(port) if port.isdecimal() and len(port) < 6 and kind != "connect" else None,
        process=kind == "run" or process or "script" in keys,
        states=_states(kind, keys),
        branches=tuple(dict.fromkeys(_branches(keys.get("script")))),
    )


def _states(kind: str | None, keys: dict[str, Node]) -> tuple[str, ...]:
    more = [word for word in ("ready", "script") if word in keys]
    return SEEN.get(" ".join([kind or "", *more]), ENDPOINT_STATES)


def _branches(script: Node | None) -> Iterator[str]:
    """The names of all alternatives of a script, at any depth; numbers where they have none."""
    steps = [] if script is None else script.items if script.kind == "list" else [script]
    pairs = [pair for step in steps for pair in step.pairs]
    for _, value in (pair for pair in pairs if pair[0].value == "repeat"):
        yield from _branches(value)
    for _, value in (pair for pair in pairs if pair[0].value == "any of"):
        named = [(each.value, branch) for each, branch in value.pairs]
        for name, branch in named or [(str(n), branch) for n, branch in enumerate(value.items, 1)]:
            yield name
            yield from _branches(branch)


def _faults(node: Node | None) -> list[str] | None:
    if node is None or node.is_null():
        return []
    if node.kind != "list":
        return None
    return [_text(_keys(item).get("name")) or fault_name(n) for n, item in enumerate(node.items, 1)]


def _vantages(found: Outline) -> dict[str, str]:
    """`client` is its only link's interface, or lo when it has no link; else `client.eth1`, `client.lo`."""
    links = Counter(host for link in found.links or () for host in set(link.hosts))
    spellings: dict[str, str] = {}
    for host in found.hosts or ():
        spellings.update(_of_host(host, links[host]))
    return spellings


def _of_host(host: str, links: int) -> Iterator[tuple[str, str]]:
    if links <= 1:
        yield host, host
    for number in range(links):
        name = f"{host}.eth{number}"
        yield name, host if links == 1 else name
    yield f"{host}.lo", f"{host}.lo" if links else host


def _keys(node: Node) -> dict[str, Node]:
    return {key.value: value for key, value in node.pairs}


def _text(node: Node | None) -> str | None:
    return node.value if node is not None and node.kind == "scalar" and not node.is_null() else None


def _texts(node: Node | None) -> list[str] | None:
    """The texts of a list, or None when it is anything else."""
    if node is None or node.kind != "list":
        return None
    texts = [_text(item) for item in node.items]
    return [text for text in texts if text is not None] if all(texts) else None
