"""Monitors that an installed package brings, by the entry point group `tcpharness.monitors`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcpharness.monitor.library import load_shipped, of_packages
from tcpharness.scenario.problem import ScenarioErrors
from tcpharness.scenario_file import load_whole

MODULE = '''
from pathlib import Path

TEXT = """
monitor: mine
read: "true {pcap}"
output: {format: jsonl}
fields: {name: n}
"""

def one():
    return TEXT

def several():
    return [TEXT, str(Path(__file__).with_name("beside.yaml"))]

def broken():
    raise RuntimeError("no licence")

WRONG = TEXT.replace("jsonl", "xml")
'''
BESIDE = "monitor: tshark\nread: 'true {pcap}'\noutput: {format: jsonl}\nfields: {name: n}\n"
CASE = """\
scenario: A
hosts: [client, server]
links: [[client, server]]
monitors: [%s]
expect: {monitors: {%s: {client: {}}}}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package, as an installer leaves it behind, but for what it offers."""
    (tmp_path / "own_monitors.py").write_text(MODULE)
    (tmp_path / "beside.yaml").write_text(BESIDE)
    info = tmp_path / "own_monitors-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-monitors\nVersion: 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_monitors", raising=False)
    of_packages.cache_clear()
    yield info / "entry_points.txt"
    of_packages.cache_clear()


def offer(points: Path, value: str) -> None:
    points.write_text(f"[tcpharness.monitors]\nmine = own_monitors:{value}\n")


def used(name: str) -> object:
    (case,) = load_whole(CASE % (name, name), "x.yaml")
    (use,) = case.monitors
    assert use.description is not None
    return use.description.read.words if use.description.read else None


@pytest.mark.parametrize("value", ["TEXT", "one", "several"])
def test_a_package_s_monitor_is_known_by_its_name(value: str, package: Path) -> None:
    offer(package, value)
    assert used("mine") == ("true {pcap}",)


def test_a_package_s_comes_before_one_that_is_shipped(package: Path) -> None:
    assert load_shipped("tshark").read is not None
    offer(package, "several")
    assert used("tshark") == ("true {pcap}",)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("nothing", "entry point mine = own_monitors:nothing:1:1: it can't be loaded: AttributeError"),
        (
            "broken",
            "entry point mine = own_monitors:broken:1:1: it can't be loaded: RuntimeError: no licence",
        ),
        ("WRONG", 'entry point mine = own_monitors:WRONG:4:18: "xml" is not known here'),
    ],
)
def test_one_that_cannot_be_is_refused_with_its_place(value: str, words: str, package: Path) -> None:
    offer(package, value)
    with pytest.raises(ScenarioErrors) as caught:
        used("mine")
    assert words in str(caught.value)


def test_a_name_that_nobody_has_is_met_by_those_that_there_are(package: Path) -> None:
    offer(package, "TEXT")
    with pytest.raises(
        ScenarioErrors, match=r'unknown monitor "tsharc", did you mean "tshark"; expected one of .*mine'
    ):
        used("tsharc")
