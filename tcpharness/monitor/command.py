"""A command of a description, its placeholders filled in, and the surroundings it runs in."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from tcpharness.scenario.monitor import Command, Description, MonitorUse

WORD = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
# From wherever this one has come: a monitor's folder is not where the person stood.
HOME = str(Path(__file__).parents[2])
START = f"import sys; sys.path.insert(0, {HOME!r}); from tcpharness.cli import main; sys.exit(main())"
OURSELVES = [sys.executable, "-c", START]


def filled(command: Command, words: Mapping[str, str]) -> list[str]:
    """The argv. In a text for the shell every value is quoted."""
    if not command.shell:
        return [replaced(word, words) for word in command.words]
    quoted = {name: shlex.quote(value) for name, value in words.items()}
    return ["/bin/sh", "-c", replaced(command.words[0], {**quoted, "tcpharness": shlex.join(OURSELVES)})]


def replaced(text: str, words: Mapping[str, str]) -> str:
    """Each `{name}` that is one of the words; others are the program's own."""
    return WORD.sub(lambda found: words.get(found[1], found[0]), text)


def options_of(use: MonitorUse, description: Description, base: Path) -> dict[str, str]:
    """The values of its options; files by their full path, from the scenario's folder."""
    given = {name: value for name, value, _ in use.options}
    return {
        name: _path(given.get(name), option.default, base, description)
        if option.is_file
        else given.get(name, option.default)
        for name, option in description.options.items()
    }


def _path(given: str | None, default: str, base: Path, description: Description) -> str:
    if given:
        return str((base / given).absolute())
    if not default or Path(default).is_absolute():
        return default
    own = Path(description.at.file).parent
    return str((own / default).absolute())


def environment(home: Path) -> dict[str, str]:
    """The person's own settings of a program stay out; times are UTC, words English."""
    return {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def write_files(description: Description, folder: Path, words: Mapping[str, str]) -> None:
    for name, text in description.files:
        (folder / name).write_text(replaced(text, words))
