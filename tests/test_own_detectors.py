"""Detectors of your own: from files, from packages, and what is said of one that is none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.cli import OK, USAGE, main
from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Writer
from tcpharness.scenario.load import load

DOCS = Path(__file__).parents[1] / "docs" / "detectors.md"
EXAMPLE = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[0]
A_FUNCTION = "expected a function of (segment, this, other), or a Detector"
TALK = """\
    0.000 > S 0:0(0) <mss 536>
    0.001 < S. 0:0(0) ack 1 <mss 1460>
    0.002 > . 1:1(0) ack 1
    0.003 > P. 1:11(10) ack 1
"""


@pytest.fixture(autouse=True)
def catalogue() -> Iterator[None]:
    """As it was, afterwards."""
    before = dict(BY_NAME)
    yield
    BY_NAME.clear()
    BY_NAME.update(before)


@pytest.fixture
def talk(tmp_path: Path) -> str:
    path = tmp_path / "talk.pcap"
    with path.open("wb") as file:
        writer = Writer(file)
        for line in TALK.splitlines():
            segment = parse_line(line)
            writer.write(segment.time_ns, segment.data)
    return str(path)


def file(tmp_path: Path, text: str, name: str = "mine.py") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_the_example_of_the_page(talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(bool(line.strip()) for line in EXAMPLE.splitlines()) < 10
    mine = file(tmp_path, EXAMPLE)
    where = 'detector == "small_mss"'
    assert main(["analyze", talk, "--detectors", mine, "--jsonl", "--where", where]) == OK
    (found,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (found["frame"], found["level"], found["detail"]) == (1, "warning", {"mss": 536})


def test_it_can_be_explained_and_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = file(tmp_path, EXAMPLE)
    assert main(["explain", "small_mss", "--detectors", mine]) == OK
    out = capsys.readouterr().out
    assert out.startswith("small_mss (detector; level warning; no RFC)\n")
    assert "something on the way clamps it." in out
    scenario = "scenario: x\nhosts: [a, b]\nlinks: [[a, b]]\nexpect: {findings: {a: {small_mss: 1}}}\n"
    assert load(scenario, "x.yaml")


def test_a_detector_may_wait_for_a_sign(
    talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = file(tmp_path, """
from tcpharness.analysis.detector import Detector, Hit
from tcpharness.analysis.signs import Sign

def syn_seen(segment, this, other):
    return Hit("a SYN")

def each(segment, this, other):
    return Hit("any", level="info")

DETECTORS = [Detector(syn_seen, Sign.SYN, "note"), each]
""")  # fmt: skip
    assert main(["analyze", talk, "--detectors", mine, "--json"]) == OK
    counts = {c["name"]: (c["count"], c["level"]) for c in json.loads(capsys.readouterr().out)["counts"]}
    assert counts["syn_seen"] == (2, "note")
    assert counts["each"] == (4, "info")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "{file}: no list DETECTORS in it; end it with DETECTORS = [your_function]"),
        ("DETECTORS = 5", "{file}: no list DETECTORS in it; end it with DETECTORS = [your_function]"),
        ("DETECTORS = [5]", "{file}: DETECTORS[0] is int 5; " + A_FUNCTION),
        ("def f(segment): pass\nDETECTORS = [f]",
         "{file}: DETECTORS[0]: f(segment) is no detector; " + A_FUNCTION),
        ("def reset(segment, this, other): pass\nDETECTORS = [reset]",
         "{file}: there is a detector called reset already; rename this one"),
        ("x = 1\nx +\n", "{file}:2:4: invalid syntax"),
        ("x = 1\nimport nowhere_to_be_found",
         "{file}:2: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def f(segment, this, other):\n    return 1 // 0\nDETECTORS = [f]",
         "{file}:2: f at frame 1: ZeroDivisionError: integer division or modulo by zero"),
        ("def f(segment, this, other):\n    return 'MSS'\nDETECTORS = [f]",
         "f gave str 'MSS' at frame 1; expected a Hit or None"),
    ],
)  # fmt: skip
def test_one_that_is_none_is_refused(
    text: str, problem: str, talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = file(tmp_path, text)
    assert main(["analyze", talk, "--detectors", mine]) == USAGE
    assert capsys.readouterr() == ("", f"tcpharness: {problem.format(file=mine)}\n")


@pytest.mark.parametrize(
    ("name", "problem"),
    [("none.py", "no such file"), ("x.txt", "not a Python file; its name ends in .py")],
)
def test_a_file_that_is_none(
    name: str, problem: str, talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.txt").touch()
    assert main(["analyze", talk, "--detectors", str(tmp_path / name)]) == USAGE
    assert capsys.readouterr().err == f"tcpharness: {tmp_path / name}: {problem}\n"


def package(folder: Path, point: str) -> None:
    """An installed package, as an installer leaves it behind."""
    (folder / "own_package.py").write_text(EXAMPLE)
    info = folder / "own_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[tcpharness.detectors]\nmine = {point}\n")


@pytest.mark.parametrize("point", ["own_package:small_mss", "own_package:DETECTORS"])
def test_from_a_package(
    point: str, talk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package(tmp_path, point)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_package", raising=False)
    assert main(["analyze", talk]) == OK
    assert main(["analyze", talk]) == OK  # one process may do so twice
    assert "small_mss" in capsys.readouterr().out


def test_a_package_that_cannot_be_loaded(
    talk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package(tmp_path, "own_package:nothing")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_package", raising=False)
    assert main(["analyze", talk]) == USAGE
    err = capsys.readouterr().err
    assert err.startswith("tcpharness: entry point mine = own_package:nothing: AttributeError: ")


SCENARIO = """\
scenario: A detector of one's own is expected
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 1 KiB, close]}
expect:
  findings: {client: {large_mss: 2}}
"""


@pytest.mark.netns
def test_a_scenario_expects_it(tmp_path: Path) -> None:
    mine = file(tmp_path, EXAMPLE.replace("small_mss", "large_mss").replace("< 1200", "!= 1200"))
    scenario = file(tmp_path, SCENARIO, "own.yaml")
    run = [sys.executable, "-m", "tcpharness", "run", scenario, "--jobs", "1"]
    done = subprocess.run([*run, "--detectors", mine], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (OK, ""), done.stdout
    without = subprocess.run(run, capture_output=True, text=True, check=False)
    assert without.returncode == USAGE
    assert 'unknown finding "large_mss"' in without.stderr
