"""SIGKILL of the main process at any moment leaves no process, namespace or interface."""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Spawner

pytestmark = [pytest.mark.netns, pytest.mark.slow]
HERE = Path(__file__).parent
KILLS = 50
LATEST_S = 0.4  # after its first word: some labs have come and gone by then
GONE_S = 20.0


def interfaces(ns: NetNs) -> set[str]:
    with ns.entered():
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
    return {line.partition(":")[0].strip() for line in lines}


def processes_with(token: str) -> list[int]:
    """All whose environment holds the token: it is inherited by whatever the doomed process starts."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                holds = token.encode() in Path(f"/proc/{entry}/environ").read_bytes()
            except OSError:  # it has just ended
                continue
            if holds:
                found.append(int(entry))
    return found


def wait_until_nothing_is_left(token: str, witness: NetNs) -> None:
    deadline = time.monotonic() + GONE_S
    while True:
        left = processes_with(token), interfaces(witness) - {"lo"}
        if left == ([], set()):
            return
        assert time.monotonic() < deadline, f"left behind: processes {left[0]}, interfaces {left[1]}"
        select.select([], [], [], 0.002)


def test_nothing_outlives_the_main_process(spawner: Spawner, tmp_path: Path) -> None:
    moments = random.Random(20)
    home = set(os.listdir("/sys/class/net"))
    words: set[str] = set()
    most = 0
    with NetNs() as witness:
        for number in range(KILLS):
            token = f"doomed-{os.getpid()}-{number}"
            doomed = subprocess.Popen(
                [sys.executable, str(HERE / "doomed_lab.py"), str(tmp_path), str(witness.fd)],
                stdout=subprocess.PIPE,
                pass_fds=[witness.fd],
                env={**os.environ, "PYTHONPATH": f"{HERE.parents[1]}:{HERE}", "DOOMED": token},
            )
            assert doomed.stdout is not None
            with doomed, doomed.stdout:
                doomed.stdout.readline()
                # Any moment is meant, and no condition: so this one wait is for time to pass.
                select.select([], [], [], moments.uniform(0, LATEST_S))
                most = max(most, len(processes_with(token)))
                doomed.kill()
                words |= set(doomed.stdout.read().decode().split())
            wait_until_nothing_is_left(token, witness)
    assert set(os.listdir("/sys/class/net")) == home
    assert most > 8, "its processes were never found, so their absence says nothing"
    assert words >= {"built", "used"}, "it was never killed in the midst of it all"
