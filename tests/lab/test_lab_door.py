"""The door: who may build labs, and what it says to those who may not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tcpharness.lab import door, syscall
from tcpharness.lab.door import NoPrivilege

HERE = Path(__file__).parent


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])}
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, timeout=60, env=environment, check=False
    )


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0, reason="gives root up, so it has to have it")
def test_an_ordinary_user_builds_labs_in_a_user_namespace(tmp_path: Path) -> None:
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.stat().st_uid == os.getuid() and parent != Path("/tmp"):
            parent.chmod(0o755)
    done = run(str(HERE / "rootless_lab.py"), str(tmp_path))
    assert done.stderr == ""
    assert done.stdout == "user namespace\n"
    assert done.returncode == 0


@pytest.mark.netns
def test_entering_twice_changes_nothing() -> None:
    script = """
import os
from tcpharness.lab.door import enter
def here(): return [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "user", "mnt")]
enter()
before = here()
enter()
print(before == here())
"""
    assert run("-c", script).stdout == "True\n"


def test_before_the_door_there_is_no_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_privilege", None)
    assert door.privilege() == "none: enter() has not been called"


@pytest.mark.parametrize(
    ("number", "settings", "words"),
    [
        (
            errno.ENOSPC,
            {"user/max_user_namespaces": "0"},
            "(No space left on device): run as root, or allow user namespaces (sysctl -w user.max_user",
        ),
        (
            errno.EPERM,
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "allow user namespaces (sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)",
        ),
        (errno.EPERM, {}, "run as root, or allow user namespaces; in a container: docker run --privileged"),
        (errno.EINVAL, {}, "a user namespace has to be entered before any thread starts; run as root"),
    ],
)
def test_a_closed_door_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, number: int, settings: dict[str, str], words: str
) -> None:
    def refuse(flags: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(door, "_privilege", None)
    monkeypatch.setattr(door, "_can_build", lambda: False)
    monkeypatch.setattr(door, "_reads", lambda path: settings.get(path.removeprefix("/proc/sys/")))
    monkeypatch.setattr(syscall, "unshare", refuse)
    with pytest.raises(NoPrivilege) as closed:
        door.enter()
    assert words in str(closed.value)
