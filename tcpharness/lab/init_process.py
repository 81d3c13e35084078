"""The processes that start all others: the spawner, and in each lab's PID namespace its init.

    main --- spawner --- init of lab 1 (PID 1 there) --- tcpdump, middlebox, programs, their children
                    \\--- init of lab 2 ...

Each has one thread, is small, and has imported what its children need, so that a fork takes a
millisecond or two. Nothing outlives main, however it dies: the spawner has PDEATHSIG from main's
first thread, each init has it from the spawner, and with a namespace's PID 1 the kernel kills
everything in it, daemonised grandchildren too. A socket at its end says the same a second time.

Main talks to each init directly, over a SEQPACKET socket that it made itself:

    main -> init    ("run" | "call", number, specification in a memfd, file descriptors)
                    ("kill", number, signal)
                    ("keep",), file descriptors to hold until the lab ends
    init -> main    ("started", number, pid as main sees it) and ("failed", number, errno, text),
                    which the child itself says; ("exited", number, status)
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from tcpharness.lab import syscall
from tcpharness.lab.netns import open_own_netns
from tcpharness.lab.syscall import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID

MAX_MESSAGE = 8192
MAX_FDS = 64
CANNOT_START = 127  # as shells have it
PROGRAM_FILES = 1024  # the soft limit that programs expect; ours is higher (door.py)
# Ignored by Python, by us, or by who started us (nohup, a shell's background), which exec would keep.
DEFAULT_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)


@dataclass(frozen=True, slots=True)
class Run:
    """exec of a program. Descriptors: netns, then stdin, stdout, stderr."""

    argv: list[str]
    cwd: str | None
    env: dict[str, str] | None
    hosts_file: str | None
    most_bytes: int | None = None  # that a file of its may have; SIGXFSZ ends it otherwise


@dataclass(frozen=True, slots=True)
class Call:
    """A function in a forked process. Descriptors: netns if it is to be inside one, then its own."""

    entry: str  # module:function, called with payload and descriptors
    payload: bytes
    inside: bool


# --- the spawner: starts an init for each socket it is sent


def spawner_main(sock: socket.socket, parent: int, preload: Sequence[str]) -> NoReturn:
    """What the spawner does from its fork to its end, which is main's.

    It is itself the PID 1 of a namespace that holds all labs: in a user namespace only so may it
    make one after the other. What main has forked stays outside, and does nothing but wait.
    """
    syscall.die_with_parent()
    if os.getppid() != parent:
        os._exit(0)  # main died before the kernel knew that we go with it
    os.setsid()  # the terminal's Ctrl-C is main's to handle
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sock = _keep_only(sock)
    syscall.unshare(CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        _or_die(lambda: _start_inits(sock, preload))
    sock.close()
    os.waitpid(pid, 0)
    os._exit(0)


def _start_inits(sock: socket.socket, preload: Sequence[str]) -> None:
    """Until main closes its end. Then this returns, and with PID 1 all labs end."""
    syscall.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how an init ended
    for module in preload:
        with suppress(ImportError):  # whoever calls it will see the error
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection would touch, and so copy, every page that the forks share
    own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    while True:
        message, fds, _, _ = socket.recv_fds(sock, MAX_MESSAGE, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return
        _start_init(fds[0], own_pids)


def _keep_only(sock: socket.socket) -> socket.socket:
    """Closes whatever else main had open; standard output must stay main's own."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    kept = 3
    if sock.fileno() != kept:
        os.dup2(sock.detach(), kept, inheritable=False)
        sock = socket.socket(fileno=kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    return sock


def _start_init(fd: int, own_pids: int) -> None:
    # Only children enter the new namespace. The kernel refuses a second unshare until the way for
    # children leads back to our own.
    syscall.unshare(CLONE_NEWPID)
    if os.fork() == 0:
        _or_die(lambda: Init(socket.socket(fileno=fd)).serve())
    syscall.setns(own_pids, CLONE_NEWPID)
    os.close(fd)


def _or_die(work: Callable[[], object]) -> NoReturn:
    """The life of a forked process: it never returns into its parent's frames."""
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


# --- the init of one lab


class Init:
    """PID 1 of a lab: starts what main asks for, reaps everything, and is the lab's end when it ends."""

    def __init__(self, main: socket.socket) -> None:
        syscall.die_with_parent()
        self._main = main
        self._numbers: dict[int, int] = {}  # pid in this namespace -> main's number
        self._netns = open_own_netns()
        self._directory = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(PROGRAM_FILES, hard), hard))
        self._woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self._main, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            if self._main.fileno() in ready and not self._obey():
                return

    def _obey(self) -> bool:
        """One request; False at the end."""
        try:
            message, fds, _, _ = socket.recv_fds(self._main, MAX_MESSAGE, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:  # it has closed without reading all we said
            return False
        if not message:
            return False
        what, *rest = pickle.loads(message)
        if what == "keep":
            return True  # and never close them
        try:
            if what == "kill":
                self._kill(*rest)
            else:
                self._start(rest[0], _load(fds[0]), fds[1:])
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _kill(self, number: int, signum: int) -> None:
        """Only what has not been reaped, so that the pid is certainly that child's."""
        for pid, known in self._numbers.items():
            if known == number:
                os.kill(pid, signum)
                self._say("signalled", number)

    def _start(self, number: int, work: Run | Call, fds: list[int]) -> None:
        try:
            if isinstance(work, Run) and not (work.hosts_file or work.env or work.most_bytes):
                self._spawn(number, work, fds)
            else:
                self._fork(number, work, fds)
        except Exception as error:
            self._say("failed", number, _explained(error))
            self._say("exited", number, CANNOT_START)

    def _spawn(self, number: int, work: Run, fds: list[int]) -> None:
        """A program that needs nothing special: vfork, which copies nothing, at a third of a fork's price.

        The child finds itself where we are, so we go there and come back.
        """
        netns, *standard = fds
        syscall.setns(netns, CLONE_NEWNET)
        try:
            if work.cwd is not None:
                os.chdir(work.cwd)
            pid = os.posix_spawnp(
                work.argv[0],
                work.argv,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(standard)],
                setsid=True,
                setsigdef=DEFAULT_SIGNALS,
            )
        finally:
            os.fchdir(self._directory)
            syscall.setns(self._netns, CLONE_NEWNET)
        self._numbers[pid] = number
        self._say("started", number, _outer_pid(pid))

    def _fork(self, number: int, work: Run | Call, fds: list[int]) -> None:
        if isinstance(work, Call):
            importlib.import_module(work.entry.partition(":")[0])  # once, for all forks to come
        pid = os.fork()
        if pid == 0:
            _or_die(lambda: self._be_child(number, work, fds))
        self._numbers[pid] = number

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._numbers.pop(pid, None)  # None: an orphan
            if number is not None:
                self._say("exited", number, os.waitstatus_to_exitcode(status))

    def _say(self, *message: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # then its end is the next thing we read
            self._main.send(pickle.dumps(message))

    # --- in the child

    def _be_child(self, number: int, work: Run | Call, fds: list[int]) -> None:
        try:
            self._say("started", number, int(os.readlink("/proc/self")))  # /proc is main's, and so the pid
            _leave_init()
            if isinstance(work, Run):
                _exec(work, fds)
            status = _call(work, fds, self._main.fileno())
        except Exception as error:
            self._say("failed", number, _explained(error))
            os._exit(CANNOT_START)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _explained(error: Exception) -> str:
    """An error of the system in its words; any other is a mistake in what was called."""
    return str(error) if isinstance(error, OSError) else traceback.format_exc()


def _outer_pid(pid: int) -> int:
    """A child's pid as main sees it: /proc is the one that main sees, too."""
    pidfd = os.pidfd_open(pid)
    try:
        with open(f"/proc/self/fdinfo/{pidfd}") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pid:"))
    finally:
        os.close(pidfd)


def _load(fd: int) -> Run | Call:
    with open(fd, "rb", closefd=False) as file:
        file.seek(0)
        work: Run | Call = pickle.load(file)
        return work


def _leave_init() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()


def _exec(work: Run, fds: list[int]) -> NoReturn:
    netns, *standard = fds
    syscall.setns(netns, CLONE_NEWNET)
    if work.hosts_file is not None:
        _own_view(work.hosts_file)
    for target, fd in enumerate(standard):
        os.dup2(fd, target)
    if work.cwd is not None:
        os.chdir(work.cwd)
    for number in DEFAULT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    if work.most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (work.most_bytes, work.most_bytes))
    try:
        os.execvpe(work.argv[0], work.argv, os.environ if work.env is None else work.env)
    except FileNotFoundError as error:  # it names the last place of PATH, and nobody asked for that
        raise FileNotFoundError(error.errno, error.strerror, work.argv[0]) from None


def _own_view(hosts_file: str) -> None:
    """A mount namespace in which /etc/hosts, /proc and /sys are those of the host."""
    syscall.unshare(CLONE_NEWNS)
    syscall.mount("none", "/", None, syscall.MS_REC | syscall.MS_PRIVATE)
    syscall.mount(hosts_file, "/etc/hosts", None, syscall.MS_BIND)
    quiet = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
    for kind, target in (("proc", "/proc"), ("sysfs", "/sys")):
        # Containers forbid it where they hide parts of theirs; most programs never look.
        with suppress(OSError):
            syscall.mount(kind, target, kind, quiet)


def _call(work: Call, fds: list[int], report: int) -> int:
    _close_others({report, *fds})
    if work.inside:
        netns, *fds = fds
        syscall.setns(netns, CLONE_NEWNET)
        os.close(netns)
    module, _, function = work.entry.partition(":")
    status = getattr(importlib.import_module(module), function)(work.payload, fds)
    return int(status or 0)


def _close_others(kept: set[int]) -> None:
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = max(low, fd + 1)
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
