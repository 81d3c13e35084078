"""Detectors of your own beside the catalogue: from Python files, and from installed packages.

A detector is a function of (segment, this side, the other side) that gives a Hit or None. A file names its
detectors in a list DETECTORS; a package names such a function, or a list, under the entry point group
`tcpharness.detectors`. docs/detectors.md has an example.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.detector import Detector, DetectorError, Hit, Rule
from tcpharness.analysis.signs import Sign
from tcpharness.installed import DETECTORS, any_package_has_some

EXPECTED = "expected a function of (segment, this, other), or a Detector"


def install(files: Sequence[Path] = ()) -> None:
    """Adds those of all installed packages and of the files to the catalogue. Raises DetectorError."""
    for where, detector in [*of_packages(), *of_files(files)]:
        name, known = detector.name, BY_NAME.get(detector.name)
        if known is not None and original(known) is not original(detector):
            raise DetectorError(f"{where}: there is a detector called {name} already; rename this one")
        BY_NAME[name] = detector


def original(detector: Detector) -> object:
    """The function that was written: a package's detector may come here twice in one process."""
    return getattr(detector.function, "__wrapped__", detector.function)


# --- files -------------------------------------------------------------------------------------


def of_files(files: Iterable[Path]) -> Iterator[tuple[str, Detector]]:
    for path in files:
        listed = read_file(path)
        if not isinstance(listed, list | tuple):
            raise DetectorError(f"{path}: no list DETECTORS in it; end it with DETECTORS = [your_function]")
        for number, entry in enumerate(listed):
            yield str(path), made(entry, f"{path}: DETECTORS[{number}]")


def read_file(path: Path) -> object:
    """What the file calls DETECTORS, None when nothing."""
    if not path.is_file():
        raise DetectorError(f"{path}: no such file")
    spec = spec_from_file_location(f"tcpharness_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DetectorError(f"{path}: not a Python file; its name ends in .py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise DetectorError(f"{error.filename}:{error.lineno}:{error.offset}: {error.msg}") from None
    except Exception as error:
        raise DetectorError(f"{place(error)}: {said(error)}") from None
    return getattr(module, "DETECTORS", None)


# --- packages ----------------------------------------------------------------------------------


def of_packages() -> Iterator[tuple[str, Detector]]:
    if not any_package_has_some(DETECTORS):
        return
    from importlib.metadata import entry_points

    for point in entry_points(group=DETECTORS):
        where = f"entry point {point.name} = {point.value}"
        try:
            found = point.load()
        except Exception as error:
            raise DetectorError(f"{where}: {said(error)}") from None
        for entry in found if isinstance(found, list | tuple) else [found]:
            yield where, made(entry, where)


# --- one detector ------------------------------------------------------------------------------


def made(entry: object, where: str) -> Detector:
    """The entry as a detector that waits for every segment, unless it says for which."""
    if isinstance(entry, Detector):
        return dataclasses.replace(entry, function=guarded(entry.function))
    if not inspect.isfunction(entry):
        raise DetectorError(f"{where} is {type(entry).__name__} {entry!r:.60}; {EXPECTED}")
    try:
        inspect.signature(entry).bind(None, None, None)
    except TypeError:
        taken = inspect.signature(entry)
        raise DetectorError(f"{where}: {entry.__name__}{taken} is no detector; {EXPECTED}") from None
    return Detector(guarded(entry), Sign.SEGMENT, "warning", family="own")


def guarded(function: Callable[..., object]) -> Rule:
    """The function, its mistakes told with the frame at which they happened."""

    name = getattr(function, "__name__", "a detector")

    @functools.wraps(function)
    def call(about: Any, *sides: Any) -> Hit | None:
        try:
            hit = function(about, *sides)
        except Exception as error:
            raise DetectorError(f"{place(error)}: {name} at frame {about.frame}: {said(error)}") from error
        if hit is not None and not isinstance(hit, Hit):
            given = type(hit).__name__
            raise DetectorError(f"{name} gave {given} {hit!r:.60} at frame {about.frame}; "
                                "expected a Hit or None")  # fmt: skip
        return hit

    return call


def place(error: Exception) -> str:
    """file:line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "somewhere"


def said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
