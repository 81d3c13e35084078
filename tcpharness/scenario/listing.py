"""What a list of scenarios shows of each case, read without the rest of the language.

A list has to be there at once: the model, the key tables and the catalogue are not even imported.
Mistakes in what is not shown are the runner's to report.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcpharness.scenario.matrix import Substitution, read_matrix
from tcpharness.scenario.place import Place
from tcpharness.scenario.problem import Problem, ScenarioErrors
from tcpharness.scenario.yaml_tree import Node, read_tree


@dataclass(frozen=True, slots=True)
class Listed:
    """A case by its id, title, description and tags."""

    id: str
    name: str
    about: str
    tags: tuple[str, ...]
    file: str


def list_cases(text: str | bytes, file: str) -> list[Listed]:
    """The cases of a file, in the order of its matrix. Raises ScenarioErrors for what is no YAML mapping."""
    tree = read_tree(text, file)
    root = tree.root
    if tree.problems or root is None or root.kind != "mapping":
        nothing = Problem(
            Place(file, 1, 1), "this is no scenario; expected a mapping with scenario, hosts, ..."
        )
        raise ScenarioErrors(tree.problems or [nothing])
    matrix = read_matrix(root, file)
    if matrix.problems:
        raise ScenarioErrors(matrix.problems)
    return [_listed(root, values, file, matrix.bracket(values)) for values in matrix.cases()]


def _listed(root: Node, values: dict[str, Node], file: str, bracket: str) -> Listed:
    keys = {key.value: value for key, value in root.pairs}
    filled = Substitution(values, file)
    texts = {
        name: filled.apply(keys[name]).value.strip()
        for name in ("scenario", "about")
        if name in keys and keys[name].kind == "scalar"
    }
    tags = keys["tags"].items if "tags" in keys and keys["tags"].kind == "list" else []
    words = tuple(tag.value for tag in tags if tag.kind == "scalar")
    return Listed(file + bracket, texts.get("scenario", ""), texts.get("about", ""), words, file)
