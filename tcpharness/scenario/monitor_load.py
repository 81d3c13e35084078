"""A description's text to a description, or a list of monitors; or all of its mistakes at once."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario.compound import Key, Table
from tcpharness.scenario.monitor import Description, MonitorUse
from tcpharness.scenario.monitor_keys import MONITOR_FILE
from tcpharness.scenario.monitor_use_keys import monitors
from tcpharness.scenario.outline import Outline
from tcpharness.scenario.place import Place
from tcpharness.scenario.problem import Problem, ScenarioErrors
from tcpharness.scenario.shape import WRONG, Scope, TooManyProblems, reference
from tcpharness.scenario.yaml_tree import Node, read_tree

MONITORS_FILE = Table(
    "monitors file",
    {"monitors": Key(monitors(reference("vantage")), "The monitors.", required=True)},
    lambda fields: fields.get("monitors"),
)

WANTED = "a monitor's description"


def load_description(text: str | bytes, file: str) -> Description:
    """The monitor that a file describes. Raises ScenarioErrors, with `file:line:column` of each mistake."""
    made = _load(text, file, MONITOR_FILE, "a mapping with monitor, output, ...")
    assert isinstance(made, Description)
    return made


def load_monitors(text: str | bytes, file: str) -> tuple[MonitorUse, ...]:
    """A file that describes one monitor, or has `monitors:` as scenarios have. Raises ScenarioErrors."""
    tree = read_tree(text, file, WANTED)
    if tree.root is None or "monitors" not in keys_of(tree.root):
        description = load_description(text, file)
        return (MonitorUse(description.name, description.at, description=description),)
    made = _load(text, file, MONITORS_FILE, "a mapping with monitors")
    return made if isinstance(made, tuple) else ()


def keys_of(root: Node) -> list[str]:
    return [key.value for key, _ in root.pairs] if root.kind == "mapping" else []


def _load(text: str | bytes, file: str, table: Table, wanted: str) -> Any:
    tree = read_tree(text, file, WANTED)
    problems = list(tree.problems)
    made = None
    if tree.root is not None and tree.root.kind == "mapping":
        try:
            made = table.read(tree.root, Scope(file, Outline(), 4, problems))
        except TooManyProblems:
            made = None
    elif tree.root is not None:
        text_ = f"the file is {tree.root.describe()}; expected {wanted}"
        problems.append(Problem(Place(file, tree.root.line, tree.root.column), text_))
    if problems or made is None or made is WRONG:
        raise ScenarioErrors(sorted(set(problems), key=lambda p: (p.at.line, p.at.column, p.text)))
    return made
