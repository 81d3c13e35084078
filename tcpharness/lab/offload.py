"""Offloads and carrier of an interface, by ioctl: one ethtool process would cost more than a whole lab.

With offloads on, a frame between namespaces may be larger than any on a wire, and carry a checksum
that nobody has computed. Off is the default; `offload: on` leaves a host's as they are.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946
ETHTOOL_GLINK = 0x0A
# include/uapi/linux/ethtool.h: (name as in `ethtool -k`, get, set), in the order they are switched off:
# segmentation needs scatter-gather, which needs checksumming.
FEATURES = (
    ("tcp-segmentation-offload", 0x1E, 0x1F),
    ("generic-segmentation-offload", 0x23, 0x24),
    ("generic-receive-offload", 0x2B, 0x2C),
    ("scatter-gather", 0x18, 0x19),
    ("tx-checksumming", 0x16, 0x17),
    ("rx-checksumming", 0x14, 0x15),
)
VALUE = struct.Struct("=II")  # struct ethtool_value: command, data
IFREQ = struct.Struct("16sP16x")
REFUSALS = (errno.EOPNOTSUPP, errno.EINVAL)  # fixed: lo always leaves checksums to nobody


class Offloads:
    """The interfaces of the namespace that `sock` (any socket) is of."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._value = ctypes.create_string_buffer(VALUE.size)

    def switch_off(self, interface: str) -> list[str]:
        """Everything off; the names of those that the kernel leaves on."""
        return [name for name, _, command in FEATURES if not self._set(interface, command)]

    def read(self, interface: str) -> dict[str, bool]:
        """Which are on, by their names in `ethtool -k`."""
        return {name: bool(self._ask(interface, command)) for name, command, _ in FEATURES}

    def settle_carrier(self, interface: str) -> bool:
        """True when the other end is up too.

        Asking makes the kernel finish what going up has begun: without it a queue may still swallow
        the first frames, silently, until a worker thread gets round to it (linkwatch_sync_dev).
        """
        return bool(self._ask(interface, ETHTOOL_GLINK))

    def _set(self, interface: str, command: int) -> bool:
        try:
            self._ask(interface, command)
        except OSError as error:
            if error.errno in REFUSALS:
                return False
            raise
        return True

    def _ask(self, interface: str, command: int) -> int:
        VALUE.pack_into(self._value, 0, command, 0)
        request = IFREQ.pack(interface.encode(), ctypes.addressof(self._value))
        fcntl.ioctl(self._sock, SIOCETHTOOL, request)
        return int(VALUE.unpack_from(self._value)[1])
