"""Zeek's description: what it is started with, and on a real Zeek where one is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from reading_lab import PAIR, played

from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.library import SHIPPED

pytestmark = pytest.mark.netns
REFUSED = PAIR.replace("server: {on: server, listen: 105, do: [receive: eof, close]}", "").replace(
    "connect: server, do: [send: 40 KiB, close]", "connect: 'server:9'"
)
# Zeek takes every argument for a script, an empty one as well, and writes nothing where no connection was.
STAND_IN = """\
#!/bin/sh
[ "$1 $2 $3" = "-r $2 LogAscii::use_json=T" ] || exit 2
shift 3
for script; do [ -n "$script" ] || exit 3; echo "$script" >> ../../../scripts; done
echo '{"ts":1.5,"id.orig_h":"10.0.0.1","id.orig_p":4,"id.resp_h":"10.0.0.2","id.resp_p":9,"proto":"tcp","history":"Sr","conn_state":"REJ"}' > conn.log
"""  # noqa: E501
TEXT = "monitors: {zeek: {file: zeek.yaml, at: client%s}}\n"


@pytest.mark.parametrize("scripts", [[], ["local", "Site::x=1"]])
def test_how_it_is_started(
    scripts: list[str], spawner: Spawner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "zeek").write_text(STAND_IN)
    (tmp_path / "bin" / "zeek").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    shutil.copy(SHIPPED / "zeek.yaml", tmp_path)
    options = f", with: {{scripts: '{' '.join(scripts)}'}}" if scripts else ""
    result = played(spawner, tmp_path, TEXT % options + "expect: {findings: {client: {}}}\n")
    (outcome,) = result.evidence.monitors
    assert outcome.error is None
    assert {finding.name for finding in outcome.findings} == {"connection_refused", "reset"}
    given = [line for path in tmp_path.rglob("scripts") for line in path.read_text().split()]
    assert given == scripts


@pytest.mark.skipif(shutil.which("zeek") is None, reason="zeek is not installed; Debian has no package of it")
def test_a_real_one_tells_of_a_refused_connection(spawner: Spawner, tmp_path: Path) -> None:
    text = (
        "monitors: {zeek: {at: client}}\nexpect: {findings: {client: {connection_refused: 1, reset: 0..}}}\n"
    )
    result = played(spawner, tmp_path, text, REFUSED)
    (outcome,) = result.evidence.monitors
    assert outcome.error is None, outcome.error
    assert "connection_refused" in {finding.name for finding in outcome.findings}
    assert outcome.version.lower().startswith("zeek")
