"""What this machine can and cannot run, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tcpharness import __version__
from tcpharness.lab.inet_diag import (
    LISTEN,
    NETLINK_SOCK_DIAG,
    NLMSG_ERROR,
    error_of,
    messages,
    request,
)
from tcpharness.packet.sums import is_compiled
from tcpharness.scenario import fast
from tcpharness.scenario.model import Case

# program -> (Debian's package, needed for every run)
PROGRAMS = {
    "tcpdump": ("tcpdump", True),
    "nft": ("nftables", False),
    "nc": ("netcat-openbsd", False),
    "nmap": ("nmap", False),
}
# What some kernels lack, and what a scenario can't do without it.
SETTINGS = {
    "net/ipv4/tcp_rto_min_us": "retransmission timeouts set per host (a route's rto_min works without)",
    "net/ipv4/tcp_rto_max_ms": "a bound on the back-off",
    "net/ipv4/tcp_syn_linear_timeouts": "the linear timeouts of the first SYNs",
    "net/ipv4/tcp_child_ehash_entries": "sockets looked at every few milliseconds (without it, less often)",
    "net/core/rps_default_mask": "frames kept in order when a sender moves between CPUs",
}
LIST_REMEDY = "modprobe tcp_diag, or a kernel with CONFIG_INET_DIAG and CONFIG_INET_TCP_DIAG"
CONGESTION = "cubic"  # of quiet.py


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    needed: bool
    found: str
    remedy: str = ""

    @property
    def mark(self) -> str:
        return "ok  " if self.ok else "FAIL" if self.needed else "miss"


def examine() -> list[Check]:
    """All checks, most important first. Changes nothing on the machine."""
    return [
        check_python(),
        check_core(),
        check_privilege(),
        *map(check_program, PROGRAMS),
        *map(check_setting, SETTINGS),
        check_sockets(),
        check_congestion(),
        check_tracepoints(),
        check_kernel(),
    ]


def check_python() -> Check:
    version = platform.python_version()
    return Check(
        "python",
        sys.version_info >= (3, 11),
        True,
        version,
        "" if sys.version_info >= (3, 11) else "install Python 3.11",
    )


def check_core() -> Check:
    """Whether the analysis runs compiled or as plain Python: the findings are the same, the speed is not."""
    remedy = "apt-get install build-essential, then pip install tcpharness again (not in editable mode)"
    found = "compiled" if is_compiled() else "plain Python, about 20 times slower on large captures"
    return Check("analysis core", is_compiled(), False, found, "" if is_compiled() else remedy)


def check_privilege() -> Check:
    """In a process of its own, because entering a user namespace can't be undone."""
    script = "from tcpharness.lab.door import enter, privilege; enter(); print(privilege())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    if done.returncode == 0:
        return Check("privilege", True, True, done.stdout.strip())
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return Check(
        "privilege",
        False,
        True,
        reason,
        "run as root, or allow user namespaces: sysctl -w user.max_user_namespaces=10000",
    )


def find_program(name: str) -> str | None:
    """On the PATH, or where distributions keep what ordinary users' PATH leaves out."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def is_root() -> bool:
    """Root of the machine, not of a user namespace."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def versions() -> dict[str, str]:
    """Of everything that a result depends on."""
    done = subprocess.run(
        [find_program("tcpdump") or "tcpdump", "--version"], capture_output=True, text=True, check=False
    )
    words = (done.stdout or done.stderr).split()
    return {
        "tcpharness": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "tcpdump": words[2] if len(words) > 2 else "unknown",
    }


def check_program(name: str) -> Check:
    package, needed = PROGRAMS[name]
    path = find_program(name)
    return Check(
        name, path is not None, needed, path or "not installed", "" if path else f"apt-get install {package}"
    )


def check_setting(setting: str) -> Check:
    there = (Path("/proc/sys") / setting).exists()
    return Check(
        setting.replace("/", "."),
        there,
        False,
        "present" if there else f"this kernel lacks it: {SETTINGS[setting]}",
    )


def check_congestion() -> Check:
    """Labs use the one that most machines have, where a namespace may choose it."""
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().split()
    if CONGESTION in allowed:
        return Check("congestion control", True, False, f"labs use {CONGESTION}")
    own = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    remedy = f"sysctl -w net.ipv4.tcp_allowed_congestion_control='{' '.join([*allowed, CONGESTION])}'"
    return Check(
        "congestion control", False, False, f"labs use {own}: they may not choose {CONGESTION}", remedy
    )


def check_sockets() -> Check:
    """Without the kernel's list of sockets nobody knows when a lab has come to rest."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as sock:
            sock.send(request(1 << LISTEN))
            answer = sock.recv(1 << 16)
    except OSError as error:
        return Check("socket list", False, True, str(error.strerror), LIST_REMEDY)
    refused = [error_of(answer, at) for kind, at, _ in messages(answer) if kind == NLMSG_ERROR]
    if refused:
        return Check("socket list", False, True, str(refused[0].strerror), LIST_REMEDY)
    return Check("socket list", True, True, "present")


def check_tracepoints() -> Check:
    """A witness more, for root alone."""
    if not is_root():
        return Check("tracepoints", False, False, "only for root", "run as root")
    if "tracefs" not in Path("/proc/filesystems").read_text().split():
        return Check("tracepoints", False, False, "this kernel lacks tracefs: one witness fewer")
    return Check("tracepoints", True, False, "present")


def check_kernel() -> Check:
    offered = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().strip()
    return Check("kernel", True, False, f"{platform.release()}; congestion control: {offered}")


def lacking_for(case: Case) -> str | None:
    """What this machine lacks for this case, or None."""
    for program in case.requires.programs:
        if find_program(program) is None:
            package = PROGRAMS[program][0] if program in PROGRAMS else program
            return f"{program} is not installed: apt-get install {package}"
    for setting in case.requires.sysctls:
        if not Path("/proc/sys", setting.replace(".", "/")).exists():
            return f"this kernel lacks {setting}"
    for setting in fast.NEEDED if case.fast else ():
        if not Path("/proc/sys", setting.replace(".", "/")).exists():
            return f"this kernel lacks {setting}, which time: fast needs"
    if case.requires.root and not is_root():
        return "needs root"
    return None
