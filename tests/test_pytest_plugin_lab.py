"""The `lab` fixture plays one case, and never silently a part of a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SCENARIO = """\
scenario: A good one
ip: [4, 6]
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 1 KiB, close]}
expect: {findings: {client: {}}}
"""
ECHO = """\
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    answer = {"id": asked["id"], "outcome": "pass", "text": "", "duration": 0.1, "result": asked}
    print(json.dumps(answer), flush=True)
"""


@pytest.mark.parametrize(
    ("call", "outcomes", "words"),
    [
        ("assert lab('good.yaml', ip=6).result['case'] == 'good.yaml[ip=6]'", {"passed": 1}, "*"),
        (
            "lab('good.yaml')",
            {"failed": 1},
            "several cases fit: good.yaml[[]ip=4], good.yaml[[]ip=6]; choose*",
        ),
        ("lab('good.yaml', ip=7)", {"failed": 1}, "no case has {'ip': '7'}*"),
    ],
)
def test_one_case(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    outcomes: dict[str, int],
    words: str,
) -> None:
    pytester.makefile(".yaml", good=SCENARIO)
    pytester.makepyfile(test_it=f"def test_it(lab):\n    {call}\n")
    script = pytester.path / "serve_script"
    script.write_text(ECHO)
    monkeypatch.setenv("TCPHARNESS_SERVE", str(script))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    result = pytester.runpytest_subprocess("-p", "tcpharness.pytest_plugin", "test_it.py")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([words])
