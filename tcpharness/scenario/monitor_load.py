"""A description's text to a description, or all of its mistakes at once."""

from __future__ import annotations

from tcpharness.scenario.monitor import Description
from tcpharness.scenario.monitor_keys import MONITOR_FILE
from tcpharness.scenario.outline import Outline
from tcpharness.scenario.place import Place
from tcpharness.scenario.problem import Problem, ScenarioErrors
from tcpharness.scenario.shape import Scope, TooManyProblems
from tcpharness.scenario.yaml_tree import read_tree


def load_description(text: str | bytes, file: str) -> Description:
    """The monitor that a file describes. Raises ScenarioErrors, with `file:line:column` of each mistake."""
    tree = read_tree(text, file)
    problems = list(tree.problems)
    made = None
    if tree.root is not None and tree.root.kind == "mapping":
        try:
            made = MONITOR_FILE.read(tree.root, Scope(file, Outline(), 4, problems))
        except TooManyProblems:
            made = None
    elif tree.root is not None:
        text_ = f"the file is {tree.root.describe()}; expected a mapping with monitor, output, ..."
        problems.append(Problem(Place(file, tree.root.line, tree.root.column), text_))
    if problems or not isinstance(made, Description):
        raise ScenarioErrors(sorted(set(problems), key=lambda p: (p.at.line, p.at.column, p.text)))
    return made
