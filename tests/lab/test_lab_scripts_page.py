"""docs/scripts.md: every scenario of the page passes, every line and step of it loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcpharness.cli import OK, main
from tcpharness.packet.icmp import KINDS
from tcpharness.packet.line import parse
from tcpharness.scenario.load import load

PAGE = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text()
SCENARIOS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = re.findall(r"^    ((?:[FSRP.U]+|icmp) .*)$", PAGE, re.MULTILINE)
STEPS = re.findall(r"^    - (.*?)(?: +#.*)?$", PAGE, re.MULTILINE)
HEAD = """scenario: A step
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105}
  peer:
    on: client
    connect: server
    script:
      - send: S 0:0(0)
      - any of: [[expect: S. 0:0(0) ack 1], [{expect: nothing, for: 1s}]]
"""


@pytest.mark.netns
@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_a_scenario_of_the_page_passes(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.yaml"
    file.write_text(SCENARIOS[number])
    assert main(["run", str(file)]) == OK, capsys.readouterr().out


def test_the_page_has_what_it_is_asked_for() -> None:
    assert (len(SCENARIOS), len(LINES), len(STEPS)) == (3, 4, 13)
    assert all(kind in PAGE for kind in KINDS)


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_page_is_understood(line: str) -> None:
    assert parse(line, sent=True).text


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_the_page_loads(step: str) -> None:
    text = HEAD + f"      - {step}\nexpect: {{findings: {{client: {{}}}}}}\n"
    (case,) = load(text, "page.yaml")
    assert len(case.endpoints[1].script) == 2 + (10 if "repeat" in step else 1)
