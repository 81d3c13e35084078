"""Versions that are kept: an answer is that of one file, and of the packages that were there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tcpharness.monitor import versions
from tcpharness.monitor.command import OURSELVES
from tcpharness.monitor.library import load_shipped
from tcpharness.monitor.versions import Versions, default_file
from tcpharness.scenario.monitor import Description
from tcpharness.scenario.monitor_load import load_description

ELF = b"\x7fELF and so on"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only program that there is, and packages that were installed once."""
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin" / "watcher"
    path.write_bytes(ELF)
    path.chmod(0o755)
    packages = tmp_path / "status"
    packages.write_text("Package: watcher\n")
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setattr(versions, "PACKAGES", packages)
    return path


def described(version: str = "watcher --version", program: str = "program: watcher\n") -> Description:
    text = f"monitor: it\n{program}version: {version}\nread: 'watcher {{pcap}}'\n"
    return load_description(text + "output: {format: jsonl}\nfields: {name: n}\n", "it.yaml")


def test_it_is_known_in_the_next_run(program: Path, tmp_path: Path) -> None:
    Versions(tmp_path / "kept" / "versions.json").keep(described(), "watcher 1.2")
    assert Versions(tmp_path / "kept" / "versions.json").known(described()) == "watcher 1.2"
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["versions.json"]


@pytest.mark.parametrize("change", ["another file", "the same length", "a package", "another command"])
def test_what_it_hangs_on(change: str, program: Path, tmp_path: Path) -> None:
    known = Versions(tmp_path / "versions.json")
    known.keep(described(), "watcher 1.2")
    if change == "another file":
        program.write_bytes(ELF + b" more")
    elif change == "the same length":
        os.utime(program, ns=(1, program.stat().st_mtime_ns + 1))
    elif change == "a package":
        (tmp_path / "status").write_text("Package: libwatcher\n")
    asked = described("watcher -v") if change == "another command" else described()
    assert known.known(asked) is None


@pytest.mark.parametrize(
    ("version", "program_key"),
    [
        ("other --version", "program: watcher\n"),
        ("watcher --version", ""),
        ("nobody -v", "program: nobody\n"),
    ],
)
def test_what_cannot_be_known_is_asked(version: str, program_key: str, program: Path, tmp_path: Path) -> None:
    known = Versions(tmp_path / "versions.json")
    asked = described(version, program_key)
    known.keep(asked, "1.2")
    assert known.known(asked) is None
    assert not (tmp_path / "versions.json").exists()


def test_a_script_is_asked_for_it_may_start_another_program(program: Path, tmp_path: Path) -> None:
    program.write_bytes(b"#!/bin/sh\nexec another\n")
    known = Versions(tmp_path / "versions.json")
    known.keep(described(), "1.2")
    assert known.known(described()) is None


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_file_that_is_none_is_no_answer_and_is_made_anew(text: str, program: Path, tmp_path: Path) -> None:
    file = tmp_path / "versions.json"
    file.write_text(text, encoding="latin-1")
    known = Versions(file)
    assert known.known(described()) is None
    known.keep(described(), "1.2")
    assert list(json.loads(file.read_text()).values()) == ["1.2"]


def test_where_nothing_can_be_written_it_is_kept_for_the_run(program: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    known = Versions(tmp_path / "file" / "versions.json")
    known.keep(described(), "1.2")
    assert known.known(described()) == "1.2"


def test_the_oldest_go(program: Path, tmp_path: Path) -> None:
    known = Versions(tmp_path / "versions.json")
    for number in range(versions.MOST_KEPT + 1):
        known.keep(described(f"watcher -{number}"), str(number))
    assert known.known(described("watcher -0")) is None
    assert known.known(described("watcher -1")) == "1"


def test_our_own_is_what_we_would_say(tmp_path: Path) -> None:
    said = subprocess.run([*OURSELVES, "--version"], capture_output=True, text=True, check=True).stdout
    assert Versions(tmp_path / "versions.json").known(load_shipped("tcpharness")) == said.strip()


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/tcpharness/versions.json"),
        ({"HOME": "/h"}, "/h/.cache/tcpharness/versions.json"),
    ],
)
def test_it_lies_with_the_person_s_caches(environment: Mapping[str, str], where: str) -> None:
    assert str(default_file(environment)) == where
