"""Ctrl-C: what has ended is told, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tcpharness.lab.door import NoPrivilege, enter

ROOT = Path(__file__).parents[1]
SLOW = """\
scenario: It waits for nobody
timeout: 60s
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [pause: 50s]}
expect: {findings: {client: {}}}
"""


@pytest.mark.netns
def test_an_interrupt_ends_the_run_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    try:
        enter()
    except NoPrivilege as error:
        pytest.skip(str(error))
    (tmp_path / "slow.yaml").write_text(SLOW)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [
        sys.executable,
        "-m",
        "tcpharness",
        "run",
        "slow.yaml",
        str(ROOT / "scenarios/handshake/refused.yaml"),
    ]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background's would be ignored
    ) as run:
        assert run.stdout is not None
        ended = [run.stdout.readline(), run.stdout.readline()]  # both cases of refused.yaml
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
    assert all(line.startswith("pass") for line in ended)
    assert "2 passed, 0 failed, 0 skipped, 0 void" in rest
    assert "interrupted, 1 of 3 cases not finished" in rest
    assert run.returncode == 130
    assert list(scratch.iterdir()) == []
