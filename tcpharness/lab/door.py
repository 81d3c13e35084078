"""The door: where a process gets what it needs to build labs, before it does anything else.

Root that really can stays root. Everybody else enters a user namespace, with a mount namespace and an
empty network namespace of its own; so does a root that is alone in its user namespace, or may not choose
groups. The kernel allows that only to a process with one thread, and nothing undoes it.

In there nobody is user 0. A program that finds itself root tries to become somebody else (tcpdump,
nginx), and in a namespace of one user it can't; as that user, with all capabilities, it just works.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
import struct
from contextlib import suppress

from tcpharness.lab import syscall
from tcpharness.lab.netns import open_own_netns
from tcpharness.lab.syscall import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 1
IFREQ_FLAGS = struct.Struct("16sH22x")

NOT_ROOT = 1000  # what a root without privilege is called in its user namespace

REMEDIES = (
    # (a file under /proc/sys, the value that forbids user namespaces, what to do about it)
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)

_privilege: str | None = None


class NoPrivilege(Exception):
    """This process can't have network namespaces; the text names the reason and the remedy."""


def enter() -> None:
    """Sees to it that this process can build labs. Called again, it does nothing.

    Raises NoPrivilege. After that the process may be in a user namespace that is of no use: it
    should end.
    """
    global _privilege
    if _privilege is not None:
        return
    if _has_users() and _can_build():
        _privilege = "root"
    else:
        _enter_user_namespace()
        _privilege = "user namespace"
    _allow_many_files()


def privilege() -> str:
    """How labs are built here, in words: "root" or "user namespace"."""
    return _privilege or "none: enter() has not been called"


def _has_users() -> bool:
    """Whether programs that find themselves root can do what they do then: become a user, with its groups.

    tcpdump does so even to stay root (-Z root).
    """
    if os.geteuid() != 0:
        return True  # then none tries
    users = sum(int(line.split()[2]) for line in (_reads("/proc/self/uid_map") or "").splitlines())
    return users > 1 and syscall.may_choose_groups()


def _can_build() -> bool:
    """Tries it: root in a container often only looks like root."""
    home = open_own_netns()
    try:
        syscall.unshare(CLONE_NEWNET)
        try:
            _use_network()
        finally:
            # Where the first network namespace belongs to somebody else there is no way back, and
            # the new one is home: nothing here needs the first.
            with suppress(PermissionError):
                syscall.setns(home, CLONE_NEWNET)
    except PermissionError:
        return False
    finally:
        os.close(home)
    return True


def _use_network() -> None:
    """What every lab does: set an interface up, and open a packet socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(IFREQ_FLAGS.pack(b"lo", 0))
        fcntl.ioctl(sock, SIOCGIFFLAGS, request)
        flags = IFREQ_FLAGS.unpack(request)[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, IFREQ_FLAGS.pack(b"lo", flags | IFF_UP))
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def _enter_user_namespace() -> None:
    uid, gid, has_users = os.geteuid(), os.getegid(), _has_users()
    try:
        syscall.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
        syscall.be_dumpable()
        # user_namespaces(7): without privilege outside, setgroups must be denied before gid_map is written.
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid or NOT_ROOT} {uid} 1")
        _write("/proc/self/gid_map", f"{gid or NOT_ROOT} {gid} 1")
        syscall.pass_capabilities_on()
        _use_network()
    except OSError as error:
        raise NoPrivilege(_why_not(error, has_users)) from error


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _why_not(error: OSError, has_users: bool) -> str:
    text = f"no privilege to make network namespaces ({error.strerror or error})"
    root = "run as root"
    if not has_users:
        text = f"this root can't become anybody else, as tcpdump wants to, and has {text}"
        root = "run as a root with more users and CAP_SETGID"
    if error.errno == errno.EINVAL:
        return f"{text}: a user namespace has to be entered before any thread starts; {root}"
    remedies = [remedy for file, forbids, remedy in REMEDIES if _reads("/proc/sys/" + file) == forbids]
    allow = f"allow user namespaces ({'; '.join(remedies)})" if remedies else "allow user namespaces"
    return f"{text}: {root}, or {allow}; in a container: docker run --privileged"


def _reads(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None


def _allow_many_files() -> None:
    """Dozens of labs side by side hold more files open than the usual soft limit of 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
