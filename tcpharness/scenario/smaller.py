"""What a scenario could do without: its text with one thing less, or one thing smaller.

Proposals only; whether one can be, and whether it still comes to the same verdict, others find out. Works on
YAML's nodes, so that everything else keeps its words; comments are lost.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

IMPAIRMENTS = ("delay", "jitter", "loss", "duplicate", "reorder", "corrupt", "rate", "queue")
SETTINGS = ("sysctl", "routes", "firewall", "offload", "mtu")
AMOUNT = re.compile(r"([0-9]+)( ?[A-Za-z%]*)")
FAULT_AMOUNTS = ("times", "delay", "hold", "duplicate", "len")
ENDPOINT_AMOUNTS = ("send", "times", "addresses")
FEW = ("1", "2", "4", "8")  # tried instead of `times: every`
NONE_ALLOWED = re.compile(r"0$|0 ?\.\.|\.\.")  # counts that hold for what never happens
NULL, INT, TEXT = (f"tag:yaml.org,2002:{kind}" for kind in ("null", "int", "str"))
WIDTH = 110


class Proposal(NamedTuple):
    about: str  # what was done, for people: "without fault lost"
    text: str


def with_values(text: str, values: dict[str, str]) -> str:
    """The one case of a matrix that has these values; `ip` is one of them."""
    root = _root(text)
    kept = [(key, value) for key, value in root.value if key.value not in ("matrix", "ip")]
    if "ip" in values:
        kept.insert(1, (_scalar("ip"), _scalar(values["ip"], INT)))
    axes = [
        (_scalar(name), SequenceNode("tag:yaml.org,2002:seq", [_scalar(value)], flow_style=True))
        for name, value in values.items()
        if name != "ip"
    ]
    if axes:
        kept.insert(1, (_scalar("matrix"), MappingNode("tag:yaml.org,2002:map", axes, flow_style=False)))
    root.value = kept
    return _text(root)


Path = tuple[int, ...]  # of places in `value`, from the root


class Step(NamedTuple):
    """One change of the tree."""

    about: str
    paths: tuple[Path, ...]  # what goes; or the one pair whose value changes
    value: str | None = None  # what it becomes; None: it goes


def proposals(text: str) -> Iterator[Proposal]:
    """From the largest steps to the smallest; each is `text` with one change."""
    root = _root(text)
    for step in [*_removals(root), *_narrowings(root)]:
        yield Proposal(step.about, _text(_changed(root, step)))


def _root(text: str) -> MappingNode:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, MappingNode):
        raise ValueError("a scenario is a mapping")
    _name_nothing(root)
    return root


def _name_nothing(node: Node) -> None:
    """An empty value gets its word: within braces it could not be written otherwise."""
    if isinstance(node, ScalarNode):
        node.value = "null" if node.tag == NULL and not node.value else node.value
        return
    for child in node.value:
        for each in child if isinstance(child, tuple) else (child,):
            _name_nothing(each)


def _removals(root: MappingNode) -> Iterator[Step]:
    yield from _faults(root)
    for at, links in _children(root, "links"):
        for path, _ in _impairments(links, (at,)):
            yield Step(f"without {_key(root, path)} on a link", (path,))
    for at, endpoints in _children(root, "endpoints"):
        for number, (name, _) in enumerate(_pairs(endpoints)):
            yield Step(f"without endpoint {name.value}", ((at, number),))
    yield from _settings(root)
    yield from _actions(root)


def _faults(root: MappingNode) -> Iterator[Step]:
    for at, faults in _children(root, "faults"):
        for number, fault in enumerate(faults.value):
            name = _name(fault, number)
            yield Step(f"without fault {name}", ((at, number), *_allowances(root, name)))


def _allowances(root: MappingNode, fault: str) -> Iterator[Path]:
    """Where `expect.faults` lets a fault not fire: without it, that is true and says nothing."""
    for at, expect in _children(root, "expect"):
        for place, (section, names) in enumerate(_pairs(expect)):
            for number, (name, count) in enumerate(_pairs(names)):
                if section.value == "faults" and name.value == fault and NONE_ALLOWED.match(str(count.value)):
                    yield (at, place, number)


def _settings(root: MappingNode) -> Iterator[Step]:
    for at, hosts in _children(root, "hosts"):
        for number, (name, settings) in enumerate(_pairs(hosts)):
            for place, (key, _) in enumerate(_pairs(settings)):
                if key.value in SETTINGS:
                    yield Step(f"without {key.value} of {name.value}", ((at, number, place),))


def _actions(root: MappingNode) -> Iterator[Step]:
    for at, faults in _children(root, "faults"):
        for number, fault in enumerate(faults.value):
            for place, (key, does) in enumerate(_pairs(fault)):
                several = key.value == "do" and isinstance(does, SequenceNode) and len(does.value) > 1
                for action in range(len(does.value)) if several else ():
                    what = f"without action {action + 1} of fault {_name(fault, number)}"
                    yield Step(what, ((at, number, place, action),))


def _narrowings(root: MappingNode) -> Iterator[Step]:
    """Numbers that could be smaller: how often, how much, how long."""
    for at, faults in _children(root, "faults"):
        for number, fault in enumerate(faults.value):
            yield from _narrower_fault(fault, (at, number), f"of fault {_name(fault, number)}")
    for at, links in _children(root, "links"):
        for path, value in _impairments(links, (at,)):
            if isinstance(value, ScalarNode):
                yield from _halved(path, f"{_key(root, path)} on a link", value.value)
    for at, endpoints in _children(root, "endpoints"):
        for number, (name, endpoint) in enumerate(_pairs(endpoints)):
            for path, key, amount in _amounts(endpoint, (at, number), ENDPOINT_AMOUNTS):
                yield from _halved(path, f"{key} of {name.value}", amount)


def _narrower_fault(fault: Node, at: Path, of: str) -> Iterator[Step]:
    for path, key, value in _amounts(fault, at, FAULT_AMOUNTS):
        for few in FEW if (key, value) == ("times", "every") else ():
            yield Step(f"times {few} instead of every {of}", (path,), few)
        yield from _halved(path, f"{key} {of}", value)


def _halved(path: Path, what: str, value: str) -> Iterator[Step]:
    if half := _half(value):
        yield Step(f"half of {what}", (path,), half)


def _changed(root: MappingNode, step: Step) -> MappingNode:
    made = copy.deepcopy(root)
    for path in sorted(step.paths, reverse=True):  # from the end, so that the other places stay what they are
        parent = _at(made, path[:-1])
        if step.value is not None:
            key = parent.value[path[-1]][0]
            parent.value[path[-1]] = (key, _scalar(step.value, INT if step.value.isdecimal() else TEXT))
            continue
        del parent.value[path[-1]]
        _prune(made, path[:-1])
    return made


def _prune(root: MappingNode, path: Path) -> None:
    """What has nothing left in it goes as well; a host without settings stays."""
    while path and not _at(root, path).value:
        parent = _at(root, path[:-1])
        if _is_host(root, path):
            parent.value[path[-1]] = (parent.value[path[-1]][0], ScalarNode(NULL, "null"))
            return
        del parent.value[path[-1]]
        path = path[:-1]


def _is_host(root: MappingNode, path: Path) -> bool:
    return len(path) == 2 and root.value[path[0]][0].value == "hosts"


def _at(root: Node, path: Path) -> Node:
    for place in path:
        found = root.value[place]
        root = found[1] if isinstance(found, tuple) else found
    return root


def _key(root: Node, path: Path) -> str:
    return str(_at(root, path[:-1]).value[path[-1]][0].value)


def _pairs(node: Node) -> list[tuple[Node, Node]]:
    return node.value if isinstance(node, MappingNode) else []


def _children(root: MappingNode, key: str) -> Iterator[tuple[int, Node]]:
    for at, (name, value) in enumerate(root.value):
        if name.value == key and not isinstance(value, ScalarNode):
            yield at, value


def _name(fault: Node, number: int) -> str:
    return next((value.value for key, value in _pairs(fault) if key.value == "name"), f"number {number + 1}")


def _impairments(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    """Keys of impairments below the links, those of one direction included."""
    for place, child in enumerate(node.value if not isinstance(node, ScalarNode) else ()):
        if isinstance(child, tuple):
            key, value = child
            if key.value in IMPAIRMENTS:
                yield (*path, place), value
            elif key.value != "join":
                yield from _impairments(value, (*path, place))
        else:
            yield from _impairments(child, (*path, place))


def _amounts(node: Node, path: Path, keys: tuple[str, ...]) -> Iterator[tuple[Path, str, str]]:
    """Path, key and value of each of `keys`, at any depth."""
    for place, child in enumerate(node.value if not isinstance(node, ScalarNode) else ()):
        if not isinstance(child, tuple):
            yield from _amounts(child, (*path, place), keys)
            continue
        key, value = child
        if isinstance(value, ScalarNode) and key.value in keys:
            yield (*path, place), key.value, value.value
        elif not isinstance(value, ScalarNode):
            yield from _amounts(value, (*path, place), keys)


def _half(text: str) -> str:
    """`10 KiB` -> `5 KiB`; "" where there is nothing to halve."""
    match = AMOUNT.fullmatch(text)
    return f"{int(match[1]) // 2}{match[2]}" if match and int(match[1]) > 1 else ""


def _scalar(text: str, tag: str = TEXT) -> ScalarNode:
    return ScalarNode(tag, text)


def _text(root: Node) -> str:
    return str(yaml.serialize(root, Dumper=yaml.SafeDumper, width=WIDTH, allow_unicode=True))
