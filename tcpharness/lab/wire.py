"""JSON lines over a socket between two processes of ours, both ways.

Not an asyncio stream: that one throws away what has been received when a write fails, and the last
words of a process that was just killed are what we want.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

READ_LEN = 256 * 1024
Message = dict[str, Any]


class Wire:
    """One end. `say()` never waits; `hear()` gives the next message, None when the other end is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[Message | None] = asyncio.Queue()
        self._arrived = bytearray()
        self._leaving = bytearray()
        sock.setblocking(False)
        self._loop.add_reader(sock, self._read)

    def say(self, **message: Any) -> None:
        self._leaving += json.dumps(message).encode() + b"\n"
        self._write()

    async def hear(self) -> Message | None:
        return await self._heard.get()

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
            self._heard.put_nowait(None)

    def _read(self) -> None:
        try:
            data = self._sock.recv(READ_LEN)
        except BlockingIOError:
            return
        except ConnectionError:  # only once all that was sent has been read
            data = b""
        if not data:
            self._loop.remove_reader(self._sock)
            self._heard.put_nowait(None)
            return
        *lines, rest = (bytes(self._arrived) + data).split(b"\n")
        self._arrived = bytearray(rest)
        for line in lines:
            self._heard.put_nowait(json.loads(line))

    def _write(self) -> None:
        if self._sock.fileno() < 0:
            return
        try:
            del self._leaving[: self._sock.send(self._leaving)]
        except BlockingIOError:
            pass
        except OSError:  # nobody hears it; what was said to us can still be read
            self._leaving.clear()
        if self._leaving:
            self._loop.add_writer(self._sock, self._write)
        else:
            self._loop.remove_writer(self._sock)
