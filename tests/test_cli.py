"""The command line: exit statuses, and what a person reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tcpharness.cli import OK, USAGE, main

GOOD = """\
scenario: A good one
tags: [some]
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 1 KiB, close]}
expect: {findings: {client: {}}}
"""
BAD = GOOD.replace("listen: 105", "listen: 70000").replace("on: client", "on: clint")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with one scenario, and YAML that is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "other.yaml").write_text("services: {web: {image: x}}\n")
    return tmp_path


def test_list_shows_scenarios_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "."]) == OK
    assert capsys.readouterr().out == "good.yaml  A good one\n1 cases in 1 files\n"


def test_list_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", ".", "--json"]) == OK
    (row,) = json.loads(capsys.readouterr().out)
    assert row["id"] == "good.yaml"
    assert row["tags"] == ["some"]


@pytest.mark.parametrize(
    ("option", "cases"), [(["--tag", "some"], 1), (["--tag", "none"], 0), (["-k", "GOOD"], 1)]
)
def test_a_selection(folder: Path, option: list[str], cases: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", ".", *option]) == OK
    assert f"{cases} cases" in capsys.readouterr().out


def test_a_faulty_scenario_is_refused_before_anything_is_built(
    folder: Path, capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]
) -> None:
    (folder / "bad.yaml").write_text(BAD)
    assert main(["run", "."]) == USAGE
    golden("cli_faulty_scenario", capsys.readouterr().err)


def test_a_path_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nowhere"]) == USAGE
    assert capsys.readouterr().err == "tcpharness: nowhere: no such file or directory\n"


def test_nothing_left_to_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", ".", "-k", "nothing like it"]) == USAGE
    assert "nothing matches" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["SYN", "win", "wscale", "TcpRetransSegs", "TCPTimeouts", "zero_window"])
def test_explain_knows(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", word]) == OK
    assert len(capsys.readouterr().out) > 80


def test_explain_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "zero_windo"]) == USAGE
    assert "zero_window" in capsys.readouterr().err


def test_explain_without_a_name_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == OK
    out = capsys.readouterr().out
    assert "detectors" in out
    assert "TcpInCsumErrors" in out


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == OK
    text = capsys.readouterr().out
    assert json.loads(text)["$schema"].startswith("https://json-schema.org/")
    assert text == (Path(__file__).parents[1] / "scenarios" / "schema.json").read_text()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"], ["analyze", "--help"]])
def test_help_ends_well(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert "tcpharness" in capsys.readouterr().out


def test_listing_imports_nothing_heavy(folder: Path) -> None:
    code = (
        "import sys; from tcpharness.cli import main; main(['list', '.']);"
        "print([m for m in ('asyncio', 'scapy', 'pyroute2', 'subprocess', 'pytest') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_doctor_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--host", "--json"]) == 0
    assert "net.ipv4.tcp_rmem" in json.loads(capsys.readouterr().out)["sysctl"]
    main(["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["socket list"]["ok"]
