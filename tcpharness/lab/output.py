"""A program's output: read as it comes, kept within bounds, its beginning and its end."""

from __future__ import annotations

import asyncio
import os

HEAD_LEN = 512 * 1024
TAIL_LEN = 512 * 1024
READ_LEN = 64 * 1024


class KeptOutput:
    """The reading end of a pipe. `open()` gives the end for the program; close that one after its start."""

    def __init__(self) -> None:
        self._fd = -1
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def open(self) -> int:
        """Starts reading; returns the fd to be the program's stdout and stderr."""
        self._fd, writing = os.pipe()
        os.set_blocking(self._fd, False)
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return writing

    def drain(self) -> None:
        """Takes what is in the pipe now: after the program's exit, without waiting for its children."""
        while self._fd >= 0 and self._read():
            pass

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def add(self, data: bytes) -> None:
        room = HEAD_LEN - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * TAIL_LEN:  # trimmed seldom, not at every read
            self._trim()

    def text(self) -> str:
        """All that was kept, with a line in the place of what was left out."""
        self._trim()
        gap = f"\n[... {self._left_out} bytes left out ...]\n".encode() if self._left_out else b""
        return (bytes(self._head) + gap + bytes(self._tail)).decode(errors="replace")

    def last_lines(self, count: int = 3) -> str:
        """The last lines in one, for an error message."""
        return " / ".join(self.text().strip().splitlines()[-count:])

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, READ_LEN)
        except BlockingIOError:
            return False
        if data:
            self.add(data)
        else:
            self.close()
        return bool(data)

    def _trim(self) -> None:
        surplus = len(self._tail) - TAIL_LEN
        if surplus > 0:
            del self._tail[:surplus]
            self._left_out += surplus
