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


# Root of a user namespace with one user, as `unshare -Ur` makes it.
ALONE = """
import os, sys
from tcpharness.lab import syscall
def alone():
    uid, gid = os.geteuid(), os.getegid()
    syscall.unshare(syscall.CLONE_NEWUSER)
    for name, text in ("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1"):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
alone()
"""


@pytest.fixture
def nested_namespaces() -> None:
    done = run("-c", ALONE + "syscall.unshare(syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET)")
    if done.returncode != 0:
        pytest.skip(f"user namespaces can't be nested here: {done.stderr.splitlines()[-1]}")


@pytest.mark.netns
@pytest.mark.usefixtures("nested_namespaces")
def test_root_of_one_user_captures_in_a_user_namespace(tmp_path: Path) -> None:
    """tcpdump can't change its user there, not even to root."""
    script = "import rootless_lab; from pathlib import Path; rootless_lab.play(Path(sys.argv[1]))"
    done = run("-c", ALONE + script, str(tmp_path))
    assert done.stderr == ""
    assert done.stdout == "user namespace\n"
    assert done.returncode == 0


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a capability of root up, so it has to have it")
def test_root_that_may_not_choose_groups_is_told_from_one_that_may() -> None:
    script = """
import ctypes
from tcpharness.lab import syscall
CAP_SETGID = 6
before = syscall.may_choose_groups()
header, sets = (ctypes.c_uint32 * 2)(syscall.CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
libc = ctypes.CDLL(None)
assert libc.capget(header, sets) == 0
sets[0] &= ~(1 << CAP_SETGID)
assert libc.capset(header, sets) == 0
print(before, syscall.may_choose_groups())
"""
    assert run("-c", script).stdout == "True False\n"


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
    ("has_users", "number", "settings", "words"),
    [
        (
            True,
            errno.ENOSPC,
            {"user/max_user_namespaces": "0"},
            "(No space left on device): run as root, or allow user namespaces (sysctl -w user.max_user",
        ),
        (
            True,
            errno.EPERM,
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "allow user namespaces (sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)",
        ),
        (
            True,
            errno.EPERM,
            {},
            "run as root, or allow user namespaces; in a container: docker run --privileged",
        ),
        (True, errno.EINVAL, {}, "a user namespace has to be entered before any thread starts; run as root"),
        (
            False,
            errno.ENOSPC,
            {"user/max_user_namespaces": "0"},
            "as tcpdump wants to, and has no privilege to make network namespaces (No space left on device): "
            "run as a root with more users and CAP_SETGID, or allow user namespaces (sysctl -w user.max_user",
        ),
    ],
)
def test_a_closed_door_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, has_users: bool, number: int, settings: dict[str, str], words: str
) -> None:
    def refuse(flags: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(door, "_privilege", None)
    monkeypatch.setattr(door, "_has_users", lambda: has_users)
    monkeypatch.setattr(door, "_can_build", lambda: False)
    monkeypatch.setattr(door, "_reads", lambda path: settings.get(path.removeprefix("/proc/sys/")))
    monkeypatch.setattr(syscall, "unshare", refuse)
    with pytest.raises(NoPrivilege) as closed:
        door.enter()
    assert words in str(closed.value)
