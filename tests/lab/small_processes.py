"""Processes of a hand-made lab, by subprocess: the spawner's interface without its speed and its reach."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

CALL = """
import importlib, sys
module, function = sys.argv[1].split(":")
entry = getattr(importlib.import_module(module), function)
sys.exit(entry(sys.stdin.buffer.read(), [int(fd) for fd in sys.argv[2:]]))
"""


class SmallChild:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def kill(self, number: int) -> None:
        self._process.send_signal(number)

    async def wait(self) -> int:
        pidfd = os.pidfd_open(self.pid)
        exited = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(pidfd, exited.set)
        try:
            await exited.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        return self._process.wait()


class SmallProcesses:
    def run(
        self,
        argv: list[str],
        *,
        netns: int,
        stdin: int,
        stdout: int,
        stderr: int,
        cwd: str | None,
        env: dict[str, str] | None,
        hosts_file: str | None,
    ) -> SmallChild:
        inside = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{netns}", *argv]
        return SmallChild(
            subprocess.Popen(inside, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=env)
        )

    def call(self, entry: str, payload: bytes, fds: list[int], netns: int | None) -> SmallChild:
        inside = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{netns}", sys.executable, "-c", CALL, entry]
        process = subprocess.Popen([*inside, *map(str, fds)], stdin=subprocess.PIPE, pass_fds=fds)
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(payload)
        return SmallChild(process)
