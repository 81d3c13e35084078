"""Network settings of a namespace, through /proc/sys, which shows those of whoever looks.

All functions act on the namespace that the calling thread is in.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from contextlib import suppress

ROOT = "/proc/sys/"
NAME = re.compile(r"net(\.[A-Za-z0-9_-]+)+")
# Settings of one interface; all others can be written before there is any. All but one: an interface
# that a router makes joins the group of all routers, and reports that. It is not one until it has its
# interfaces.
OF_INTERFACE = re.compile(
    r"net\.(?:ipv4|ipv6)\.(?:conf|neigh)\.(?!all\.|default\.|lo\.)|net\.ipv6\.conf\.(?:all|default)\.forwarding$"
)

REASONS = {
    errno.ENOENT: "this kernel has no such setting",
    errno.EINVAL: "the kernel refuses the value {value!r} (Invalid argument)",
    errno.ERANGE: "the kernel refuses the value {value!r} (out of range)",
    errno.EACCES: "the kernel does not let a network namespace change it",
    errno.EPERM: "the kernel does not let a network namespace set {value!r}",
    errno.EROFS: "/proc/sys is mounted read-only here: run outside the container, or with --privileged",
}


def needs_interface(name: str) -> bool:
    return OF_INTERFACE.match(name) is not None


def write(name: str, value: str) -> None:
    """Raises OSError with the kernel's reason, ValueError for a name that is no network setting."""
    fd = os.open(_path(name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def read(name: str) -> str:
    with open(_path(name)) as file:
        return " ".join(file.read().split())


def exists(name: str) -> bool:
    return os.path.exists(_path(name))


def effective(names: Iterable[str]) -> dict[str, str]:
    """Those of the settings that this kernel has and that may be read, with their values."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(OSError, ValueError):
            found[name] = read(name)
    return found


def reason(error: OSError | ValueError, value: str) -> str:
    """Why it was refused, in words."""
    if isinstance(error, OSError) and error.errno in REASONS:
        return REASONS[error.errno].format(value=value)
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _path(name: str) -> str:
    # Only what is under net belongs to a namespace: everything else would change the whole machine.
    if not NAME.fullmatch(name):
        raise ValueError("no network setting; expected a name such as net.ipv4.tcp_sack")
    return ROOT + name.replace(".", "/")
