"""The few system calls that Python (3.11) does not offer: unshare, setns, mount, prctl.

All raise OSError with the kernel's errno. They act on the calling thread only, as the kernel has it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct

# include/uapi/linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# include/uapi/linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18

# include/uapi/linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2

NGROUPS_MAX = 65536  # include/uapi/linux/limits.h

CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of each set

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leaves the namespaces that `flags` name for new ones."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    """Enters the namespace behind `fd`, which must be of the kind that `flags` names."""
    _check(_libc.setns(fd, flags), "setns")


def mount(source: str, target: str, kind: str | None, flags: int) -> None:
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), kind and kind.encode(), flags, None), target)


def die_with_parent() -> None:
    """SIGKILL for this process when the thread that forked it ends.

    Lost by exec of a set-user-id program and by a change of user. The parent may have died already:
    the caller has to look.
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def be_dumpable() -> None:
    """Gives this process its own files in /proc back, which a change of user has taken."""
    _check(_libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")


def pass_capabilities_on() -> None:
    """Makes all capabilities of this process ambient: programs keep them over exec, whoever runs them."""
    header = struct.pack("Ii", CAPABILITY_VERSION, 0)
    sets = ctypes.create_string_buffer(24)  # (effective, permitted, inheritable) of bits 0-31, then of 32-63
    _check(_libc.capget(header, sets), "capget")
    low, high = struct.unpack_from("I", sets, 4)[0], struct.unpack_from("I", sets, 16)[0]
    struct.pack_into("I", sets, 8, low)
    struct.pack_into("I", sets, 20, high)
    _check(_libc.capset(header, sets), "capset")
    for number in range(64):
        if (low | high << 32) >> number & 1:
            _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0), "prctl")


def may_choose_groups() -> bool:
    """Whether this process may set its groups, which every program does that gives root up.

    It asks for more than there can be. That is refused to everybody, but to those who may not with EPERM.
    """
    _libc.setgroups(NGROUPS_MAX + 1, None)
    return ctypes.get_errno() != errno.EPERM


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
