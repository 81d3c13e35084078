"""The scenario's socket options, put on a socket."""

from __future__ import annotations

import errno
import os
import socket
import struct

from tcpharness.scenario.model import SocketOptions

SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>: beyond rmem_max, with CAP_NET_ADMIN
SO_SNDBUFFORCE = 32
SECOND_NS = 1_000_000_000

# field -> (level, option) for the ones that are a plain integer in both
INTEGERS = {
    "nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    "quickack": (socket.IPPROTO_TCP, socket.TCP_QUICKACK),
    "mss": (socket.IPPROTO_TCP, socket.TCP_MAXSEG),
}
BY_FAMILY = {
    "ttl": {4: (socket.IPPROTO_IP, socket.IP_TTL), 6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)},
    "tos": {4: (socket.IPPROTO_IP, socket.IP_TOS), 6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)},
}
BUFFERS = {
    "rcvbuf": (socket.SO_RCVBUF, SO_RCVBUFFORCE, "net.core.rmem_max"),
    "sndbuf": (socket.SO_SNDBUF, SO_SNDBUFFORCE, "net.core.wmem_max"),
}


def apply(sock: socket.socket, options: SocketOptions, ip: int) -> None:
    """Sets every option that is not None. Raises OSError naming the option that the kernel refused."""
    for name, (level, option) in INTEGERS.items():
        _set_integer(sock, name, getattr(options, name), level, option)
    for name, families in BY_FAMILY.items():
        _set_integer(sock, name, getattr(options, name), *families[ip])
    for name in BUFFERS:
        if getattr(options, name) is not None:
            _set_buffer(sock, name, getattr(options, name))
    if options.keepalive is not None:
        _set_keepalive(sock, options.keepalive)
    if options.user_timeout_ns is not None:
        milliseconds = max(1, options.user_timeout_ns // 1_000_000)
        _set(sock, "user_timeout", socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    if options.congestion is not None:
        _set(sock, "congestion", socket.IPPROTO_TCP, socket.TCP_CONGESTION, options.congestion.encode())
    if options.linger_ns is not None:
        linger = struct.pack("ii", 1, -(-options.linger_ns // SECOND_NS))
        _set(sock, "linger", socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _set_integer(sock: socket.socket, name: str, value: int | None, level: int, option: int) -> None:
    if value is not None:
        _set(sock, name, level, option, int(value))


def _set(sock: socket.socket, name: str, level: int, option: int, value: int | bytes) -> None:
    try:
        sock.setsockopt(level, option, value)
    except OSError as error:
        code = error.errno or errno.EINVAL
        shown = value.decode(errors="replace") if isinstance(value, bytes) else value
        raise OSError(code, f"socket option {name} {shown}: {os.strerror(code)}") from None


def _set_buffer(sock: socket.socket, name: str, size: int) -> None:
    """Past the system's limit where we may; a size cut short silently would be another scenario."""
    plain, force, limit = BUFFERS[name]
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, plain, size)
    given = sock.getsockopt(socket.SOL_SOCKET, plain)
    if given < size:  # the kernel doubles what it grants, so less than asked means that it cut
        text = f"socket option {name} {size}: this kernel grants {given // 2} ({limit})"
        raise OSError(errno.EPERM, text)


def _set_keepalive(sock: socket.socket, times: tuple[int, int, int]) -> None:
    idle_ns, interval_ns, count = times
    _set(sock, "keepalive", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # The kernel takes whole seconds, at least one.
    for option, value in (
        (socket.TCP_KEEPIDLE, -(-idle_ns // SECOND_NS)),
        (socket.TCP_KEEPINTVL, -(-interval_ns // SECOND_NS)),
        (socket.TCP_KEEPCNT, count),
    ):
        if value:
            _set(sock, "keepalive", socket.IPPROTO_TCP, option, value)
