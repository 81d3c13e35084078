"""A timer as a descriptor: an event loop's own timeouts are a millisecond coarse, this one is not."""

from __future__ import annotations

import ctypes
import os

# include/uapi/linux/timerfd.h, time.h
CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


class _Spec(ctypes.Structure):
    """struct itimerspec"""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns")]


class Timer:
    """Readable from a moment of the monotonic clock on."""

    def __init__(self) -> None:
        self.fd = _checked(_libc.timerfd_create(CLOCK_MONOTONIC, TFD_FLAGS))
        self._spec = _Spec()
        self._at_ns: int | None = None

    def set(self, at_ns: int | None) -> None:
        """None: not again. The same moment twice costs nothing."""
        if at_ns == self._at_ns:
            return
        self._at_ns = at_ns
        # Zero would disarm it; a moment that has passed makes it readable at once.
        self._spec.at_s, self._spec.at_ns = (
            divmod(max(at_ns, 1), 1_000_000_000) if at_ns is not None else (0, 0)
        )
        _checked(_libc.timerfd_settime(self.fd, TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None))

    def close(self) -> None:
        os.close(self.fd)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "timerfd")
    return result
