"""A scenario file's text to its cases, or all of its mistakes at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tcpharness.scenario.matrix import Matrix, Substitution, read_matrix
from tcpharness.scenario.model import Case, Place
from tcpharness.scenario.outline import outline
from tcpharness.scenario.problem import MOST_PROBLEMS, Problem, ScenarioErrors
from tcpharness.scenario.scenario_keys import read_case
from tcpharness.scenario.shape import WRONG, Scope, TooManyProblems
from tcpharness.scenario.yaml_tree import Node, read_tree

__all__ = ["Problem", "ScenarioErrors", "catalogue", "load"]

# Finding names, each with its kinds (none: any word will do).
Findings = Mapping[str, Collection[str]]


def load(text: str | bytes, file: str, *, findings: Findings | None = None) -> list[Case]:
    """The cases of a file, in the order of its matrix. `file` is only named in messages and ids.

    `findings` are the names that may be expected; the catalogue's by default. Raises ScenarioErrors.
    """
    reading = _Reading(file, catalogue() if findings is None else findings)
    tree = read_tree(text, file)
    reading.templated = ("${" if isinstance(text, str) else b"${") in text  # type: ignore[operator]
    reading.common += tree.problems
    cases = reading.cases(tree.root) if tree.root is not None else []
    problems = reading.problems()
    if problems:
        raise ScenarioErrors(problems[:MOST_PROBLEMS])
    return cases


def catalogue() -> Findings | None:
    """The detectors' names and kinds; None while there is no catalogue to ask."""
    try:
        from tcpharness.analysis.catalog import BY_NAME
    except ImportError:
        return None
    return {name: tuple(detector.kinds) for name, detector in BY_NAME.items()}


@dataclass(slots=True, eq=False, repr=False)
class _Reading:
    """One file being read: the mistakes of all cases, told once each."""

    file: str
    findings: Findings | None
    common: list[Problem] = field(default_factory=list)  # of the file, whatever the case
    templated: bool = True  # `${` is in the text
    by_case: dict[str, list[Problem]] = field(default_factory=dict)  # "[ip=6]" -> its own

    def cases(self, root: Node) -> list[Case]:
        if root.kind != "mapping":
            text = f"the file is {root.describe()}; expected a mapping with scenario, hosts, expect, ..."
            self.common.append(Problem(Place(self.file, root.line, root.column), text))
            return []
        matrix = read_matrix(root, self.file)
        self.common += matrix.problems
        if matrix.problems:
            self._without_matrix(root)
            return []
        return self._cases(root, matrix)

    def _cases(self, root: Node, matrix: Matrix) -> list[Case]:
        used = {"ip"}
        cases = []
        for values in matrix.cases():
            bracket = matrix.bracket(values)
            case = self._case(root, values, bracket, used)
            if case is not WRONG:
                shown = {name: node.value for name, node in values.items()}
                cases.append(replace(case, id=self.file + bracket, values=shown))
        for axis in matrix.axes:
            if axis.name not in used:
                text = f'matrix name "{axis.name}" is never used; expected "${{{axis.name}}}" somewhere'
                self.common.append(Problem(Place(self.file, axis.key.line, axis.key.column), text))
        return cases

    def _without_matrix(self, root: Node) -> None:
        """Reads on although the matrix is wrong; what has to do with its values is left out."""
        problems: list[Problem] = []
        self._read(root, 4, problems)
        self.common += [problem for problem in problems if "${" not in problem.text]

    def _case(self, root: Node, values: dict[str, Node], bracket: str, used: set[str]) -> Any:
        problems = self.by_case.setdefault(bracket, [])
        if self.templated:
            substitution = Substitution({"ip": Node("scalar", 0, 0, "4", True), **values}, self.file)
            root = substitution.apply(root)
            problems += substitution.problems
            used |= substitution.used
        family: Literal[4, 6] = 6 if "ip" in values and values["ip"].value == "6" else 4
        return self._read(root, family, problems)

    def _read(self, root: Node, family: Literal[4, 6], problems: list[Problem]) -> Any:
        try:
            return read_case(root, Scope(self.file, outline(root, self.findings), family, problems))
        except TooManyProblems:
            return WRONG

    def problems(self) -> list[Problem]:
        """In the order of the file; a mistake of some cases only says of which."""
        told: dict[tuple[Place, str], list[str]] = {}
        for bracket, problems in self.by_case.items():
            for problem in problems:
                cases = told.setdefault((problem.at, problem.text), [])
                if bracket not in cases:
                    cases.append(bracket)
        every = list(self.common)
        for (at, text), cases in told.items():
            some = len(cases) < len(self.by_case)
            every.append(Problem(at, f"{text} (in case {cases[0]})" if some else text))
        return sorted(set(every), key=lambda problem: (problem.at.line, problem.at.column, problem.text))
