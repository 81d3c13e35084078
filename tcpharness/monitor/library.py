"""Where descriptions come from: the scenario itself, a file beside it, an installed package, or ours.

A package names them under the entry point group `tcpharness.monitors`: a text in YAML, the path of such
a file, or a function that gives either, or a list of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tcpharness.installed import any_package_has_some
from tcpharness.scenario.model import Case
from tcpharness.scenario.monitor import Description, MonitorUse
from tcpharness.scenario.monitor_load import load_description, load_monitors
from tcpharness.scenario.place import Place
from tcpharness.scenario.problem import Problem, ScenarioErrors, unknown

GROUP = "tcpharness.monitors"
SHIPPED = Path(__file__).parent / "shipped"


def described(case: Case) -> tuple[MonitorUse, ...]:
    """The case's monitors, each with its description. Raises ScenarioErrors."""
    return with_descriptions(case.monitors, case.file)


def with_descriptions(uses: Iterable[MonitorUse], file: str) -> tuple[MonitorUse, ...]:
    """Those that a file names. Raises ScenarioErrors."""
    problems: list[Problem] = []
    found = tuple(_described(use, file, problems) for use in uses)
    if problems:
        raise ScenarioErrors(problems)
    return found


def _described(use: MonitorUse, file: str, problems: list[Problem]) -> MonitorUse:
    description = use.description
    try:
        if description is None:
            description = _of_file(use, file) if use.file else _by_name(use)
    except ScenarioErrors as errors:
        problems += errors.problems
        return use
    for name, _, at in use.options:
        if name not in description.options:
            text = unknown(f"option of {use.name}", name, description.options)
            problems.append(Problem(at, text))
    names = description.names if use.names is None else use.names
    return replace(use, description=replace(description, name=use.name, names=names))


def _of_file(use: MonitorUse, file: str) -> Description:
    path = Path(file).parent / use.file
    try:
        return load_description(path.read_bytes(), str(path))
    except OSError as error:
        raise ScenarioErrors([Problem(use.at, f"{path}: {error.strerror}; expected a description")]) from None


def _by_name(use: MonitorUse) -> Description:
    shipped = SHIPPED / f"{use.use}.yaml"
    own = of_packages()
    if use.use in own:
        return own[use.use]
    if shipped.exists():
        return load_shipped(use.use)
    names = sorted({*shipped_names(), *own})
    raise ScenarioErrors([Problem(use.at, f"{unknown('monitor', use.use, names)}, or read, live, ask, file")])


def shipped_names() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


@cache
def load_shipped(name: str) -> Description:
    path = SHIPPED / f"{name}.yaml"
    return load_description(path.read_bytes(), str(path))


# --- packages


@cache
def of_packages() -> dict[str, Description]:
    """Those of installed packages. Raises ScenarioErrors, naming the entry point."""
    if not any_package_has_some(GROUP):
        return {}
    from importlib.metadata import entry_points

    found: dict[str, Description] = {}
    for point in entry_points(group=GROUP):
        for description in _of_point(point):
            found[description.name] = description
    return found


def _of_point(point: Any) -> Iterator[Description]:
    where = f"entry point {point.name} = {point.value}"
    try:
        given = point.load()
        given = given() if callable(given) else given
    except Exception as error:
        text = f"it can't be loaded: {type(error).__name__}: {error}"
        raise ScenarioErrors([Problem(Place(where, 1, 1), text)]) from None
    for each in given if isinstance(given, list | tuple) else [given]:
        if isinstance(each, Description):
            yield each
        elif isinstance(each, Path) or "\n" not in str(each):
            yield load_description(Path(each).read_bytes(), str(each))
        else:
            yield load_description(str(each), where)


# --- named on the command line


def named(word: str) -> tuple[MonitorUse, ...]:
    """A monitor's name, or a file that describes or lists some. Raises ScenarioErrors, OSError.

    Files that its options name are found from there, wherever the scenario lies.
    """
    if not (word.endswith((".yaml", ".yml")) or "/" in word):
        at = Place(f"--monitors {word}", 1, 1)
        return with_descriptions((MonitorUse(word, at, use=word),), "")
    path = Path(word)
    uses = with_descriptions(load_monitors(path.read_bytes(), word), word)
    return tuple(_with_whole_paths(use, path.parent) for use in uses)


def _with_whole_paths(use: MonitorUse, base: Path) -> MonitorUse:
    assert use.description is not None
    known = use.description.options
    options = tuple(
        (name, str((base / value).absolute()) if value and known[name].is_file else value, at)
        for name, value, at in use.options
    )
    return replace(use, options=options)


__all__ = ["described", "load_shipped", "named", "of_packages", "shipped_names"]
