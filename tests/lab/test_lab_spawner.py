"""The spawner: what it starts, what it says about it, and that a lab's processes end with the lab."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Child, LabProcesses, Spawner

pytestmark = pytest.mark.netns
HERE = Path(__file__).parent


@pytest.fixture
def namespace(spawner: Spawner) -> Iterator[NetNs]:
    with NetNs() as made:
        yield made


def play(spawner: Spawner, work: Callable[[LabProcesses], Awaitable[None]]) -> None:
    async def run() -> None:
        processes = spawner.lab()
        try:
            async with asyncio.timeout(20):
                await work(processes)
        finally:
            processes.close()

    asyncio.run(run())


async def output_of(processes: LabProcesses, namespace: NetNs, *argv: str, **wanted: str) -> tuple[int, str]:
    reading, writing = os.pipe()
    child = processes.run(
        argv, netns=namespace.fd, stdout=writing, stderr=writing, hosts_file=wanted.get("hosts_file")
    )
    os.close(writing)
    status = await child.wait()
    with open(reading) as file:
        return status, file.read()


def say_own(payload: bytes, fds: list[int]) -> int:
    """Called in a forked process: says what it was given and where it is."""
    os.write(fds[0], payload + b" " + os.readlink("/proc/self/ns/net").encode())
    return 7


def hold_others(payload: bytes, fds: list[int]) -> int:
    """How many descriptors it has besides the standard ones, its own and the one to report failures."""
    os.write(fds[0], str(len(os.listdir("/proc/self/fd")) - 1).encode())
    return 0


def break_down(payload: bytes, fds: list[int]) -> int:
    raise RuntimeError("broken on purpose")


def test_run_gives_the_exit_status_and_its_output(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        status, text = await output_of(processes, namespace, "sh", "-c", "echo out; echo err >&2; exit 3")
        assert (status, text) == (3, "out\nerr\n")

    play(spawner, work)


def test_run_is_inside_the_network_namespace(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        _, text = await output_of(processes, namespace, "readlink", "/proc/self/ns/net")
        assert text.strip() == f"net:[{os.fstat(namespace.fd).st_ino}]"

    play(spawner, work)


def test_a_hosts_file_is_its_own_etc_hosts(spawner: Spawner, namespace: NetNs, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.7 server\n")
    before = Path("/etc/hosts").read_text()

    async def work(processes: LabProcesses) -> None:
        argv = ("getent", "hosts", "server")
        status, text = await output_of(processes, namespace, *argv, hosts_file=str(hosts))
        assert status == 0
        assert "192.0.2.7" in text
        _, interfaces = await output_of(processes, namespace, "ls", "/sys/class/net", hosts_file=str(hosts))
        assert interfaces.split() == ["lo"]

    play(spawner, work)
    assert Path("/etc/hosts").read_text() == before


def test_a_program_that_is_not_there(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        child = processes.run(["no-such-program"], netns=namespace.fd)
        assert await child.wait() == 127
        assert "No such file or directory" in str(child.error)

    play(spawner, work)


def test_a_signal_is_its_exit_status(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        child = processes.run(["sleep", "60"], netns=namespace.fd)
        child.kill(signal.SIGTERM)
        assert await child.wait() == -signal.SIGTERM
        assert child.exited
        child.kill(signal.SIGTERM)  # of a process that is gone: nothing happens

    play(spawner, work)


def test_a_signal_that_was_waited_for_has_been_delivered(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        child = processes.run(["sleep", "60"], netns=namespace.fd)
        child.kill(signal.SIGSTOP)
        await child.wait_signalled()
        assert child.pid is not None
        # It has got it, and stops as soon as it is its turn: the first word behind its name (proc(5)).
        while not Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2].startswith("T"):
            await asyncio.sleep(0.001)
        child.kill(signal.SIGKILL)
        child.kill(signal.SIGTERM)  # which it may never get
        await child.wait_signalled()
        assert await child.wait() == -signal.SIGKILL

    play(spawner, work)


def test_programs_have_default_signals_and_a_session_of_their_own(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        argv = (
            "sh",
            "-c",
            "grep SigIgn /proc/self/status; ulimit -n; cut -d' ' -f6 /proc/self/stat; echo $$",
        )
        _, text = await output_of(processes, namespace, *argv)
        _, ignored, limit, session, _ = text.split()
        assert int(ignored, 16) & 0x7FFFFFFF == 0  # above are the C library's own
        assert int(limit) <= 1024
        assert int(session) not in (os.getsid(0), 0)

    play(spawner, work)


def test_call_runs_a_function_in_a_fork(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        reading, writing = os.pipe()
        child = processes.call(f"{__name__}:say_own", b"hello", [writing], namespace.fd)
        os.close(writing)
        assert await child.wait() == 7
        with open(reading) as file:
            assert file.read() == f"hello net:[{os.fstat(namespace.fd).st_ino}]"
        assert child.pid is not None

    sys_path_of(spawner, work)


def test_call_holds_nothing_else(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        reading, writing = os.pipe()
        child = processes.call(f"{__name__}:hold_others", b"", [writing], namespace.fd)
        os.close(writing)
        assert await child.wait() == 0
        with open(reading) as file:
            assert file.read() == "5"  # 0, 1, 2, its own, and the socket to its lab

    sys_path_of(spawner, work)


def test_what_a_call_raises_is_told(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        child = processes.call(f"{__name__}:break_down", b"", [], None)
        assert await child.wait() == 127
        assert "broken on purpose" in str(child.error)
        child = processes.call("no.such.module:main", b"", [], None)
        assert await child.wait() == 127
        assert "No module named" in str(child.error)

    sys_path_of(spawner, work)


def sys_path_of(spawner: Spawner, work: Callable[[LabProcesses], Awaitable[None]]) -> None:
    """The spawner was forked from this process, with the path on which this module is."""
    assert str(HERE) in sys.path
    play(spawner, work)


def test_payloads_of_any_size(spawner: Spawner, namespace: NetNs) -> None:
    async def work(processes: LabProcesses) -> None:
        _, text = await output_of(processes, namespace, "sh", "-c", f": {'x' * 100_000}; echo done")
        assert text == "done\n"

    play(spawner, work)


def test_the_end_of_a_lab_is_the_end_of_its_grandchildren(spawner: Spawner, namespace: NetNs) -> None:
    pids: list[int] = []

    async def work(processes: LabProcesses) -> None:
        script = "setsid sleep 61 </dev/null >/dev/null 2>&1 & readlink /proc/$$/ns/pid; echo ready; sleep 62"
        reading, writing = os.pipe()
        child = processes.run(["sh", "-c", script], netns=namespace.fd, stdout=writing)
        os.close(writing)
        with open(reading) as file:
            while "ready" not in await asyncio.to_thread(file.readline):
                pass
        while len(pids) < 3:  # the shell and both sleeps, once they are what they are going to be
            pids[:] = family(child)
        processes.close()
        assert await child.wait() == -signal.SIGKILL

    play(spawner, work)
    wait_gone(pids)


def family(child: Child) -> list[int]:
    """A child and all who share its PID namespace, without the namespace's init."""
    own = os.readlink(f"/proc/{child.pid}/ns/pid")
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                inside = os.readlink(f"/proc/{entry}/ns/pid") == own
            except OSError:
                continue
            if inside and b"sleep" in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
    return found


def wait_gone(pids: list[int]) -> None:
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert select.select([fd], [], [], 10)[0], f"process {pid} lives on"
        os.close(fd)


def test_closing_the_spawner_waits_for_everything() -> None:
    spawner = Spawner.start(preload=())
    with NetNs() as namespace:

        async def work(processes: LabProcesses) -> None:
            child = processes.run(["sleep", "63"], netns=namespace.fd)
            while child.pid is None:
                await asyncio.sleep(0)
            spawner.close()
            assert not Path(f"/proc/{child.pid}").exists()
            assert await child.wait() == -signal.SIGKILL

        play(spawner, work)
    with pytest.raises(OSError, match="Bad file descriptor"):
        spawner.lab()
