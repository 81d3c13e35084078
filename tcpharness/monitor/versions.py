"""What programs have said of their versions, kept from run to run: tshark takes half of a start to say it.

An answer is good for one file of one program on a machine whose packages are as they were. Scripts are
asked every time: what they start may be another one, and nothing of the script tells.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tcpharness import __version__
from tcpharness.scenario.monitor import Description

PACKAGES = Path("/var/lib/dpkg/status")  # changes with every package, so with every library of one
SCRIPT = b"#!"
OURS = ("{tcpharness} --version",)
MOST_KEPT = 200


class Versions:
    """The answers in one file; what can't be read or written is asked again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, str] | None = None

    def known(self, description: Description) -> str | None:
        """The version of the program that is installed now; None: it must be asked."""
        if description.version is not None and description.version.words == OURS:
            return f"tcpharness {__version__}"  # as it would say itself
        key = identity(description)
        return None if key is None else self._all().get(key)

    def keep(self, description: Description, version: str) -> None:
        key = identity(description)
        if key is None or not version:
            return
        self._known = dict([*self._all().items(), (key, version)][-MOST_KEPT:])
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, json.dumps(self._known, indent=1) + "\n")

    def _all(self) -> dict[str, str]:
        if self._known is None:
            self._known = read(self._file)
        return self._known


def default_file(environment: Mapping[str, str]) -> Path:
    """Where the XDG base directory specification has a person's caches."""
    cache = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/")) / ".cache"
    return Path(cache) / "tcpharness" / "versions.json"


def identity(description: Description) -> str | None:
    """What an answer hangs on; None where that can't be known."""
    command = description.version
    if command is None or not description.program or command.words[0].split()[:1] != [description.program]:
        return None
    found = shutil.which(description.program)
    if found is None:
        return None
    try:
        path = Path(found).resolve()
        with path.open("rb") as file:
            if file.read(len(SCRIPT)) == SCRIPT:
                return None
        return json.dumps([*command.words, str(path), stamp(path), stamp(PACKAGES)])
    except OSError:
        return None


def stamp(path: Path) -> list[int]:
    """Of one state of a file; [] where there is none."""
    with suppress(FileNotFoundError):
        known = path.stat()
        return [known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns]
    return []


def read(file: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        found = json.loads(file.read_bytes())
        if isinstance(found, dict):
            return {str(key): str(value) for key, value in found.items()}
    return {}


def write_whole(file: Path, text: str) -> None:
    """All of it or nothing: other runs read it meanwhile. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    with os.fdopen(handle, "w") as target:
        target.write(text)
    os.replace(name, file)
