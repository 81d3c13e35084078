"""The end marker: a frame of ours that is read back from a capture to prove that all before it is there.

    06 and five random bytes | the same again | 0x88B5 | "tcpharness " and the random bytes in hex

Both addresses carry the token, so that it is still whole under a snaplen of 14, and no port of a
bridge knows it. 0x88B5 is an ethertype for local experiments (IEEE 802): no kernel answers it, the
middlebox consumes it, and the analysis leaves it out.

One marker leaves by the interface, another comes in from the far end of its cable: what has been
sent towards a host may still wait in a queue of the kernel when the host's own marker goes out.
"""

from __future__ import annotations

import mmap
import os
import re
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from tcpharness.lab.netns import NetNs
from tcpharness.packet.canary import MAC_HEAD, NOBODY

ETHERTYPE = b"\x88\xb5"
ANY_MARKER = re.compile(rb"(\x06.{5})\1\x88\xb5", re.DOTALL)
ANY_CANARY = re.compile(re.escape(NOBODY) + rb".." + re.escape(MAC_HEAD), re.DOTALL)
TEXT_MARKER = b"ethertype Unknown (0x88b5)"
HEADER_LEN = 14
TAIL_LEN = 32  # longer than anything that is looked for


class Marker:
    """One marker on its way: sent from one end of a cable, in the capture of that end or the other."""

    def __init__(self, namespace: NetNs, interface: str) -> None:
        self.mac = b"\x06" + secrets.token_bytes(5)
        self.frame = self.mac + self.mac + ETHERTYPE + b"tcpharness " + self.mac[1:].hex().encode()
        self._interface = interface
        self._sock = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)

    def send(self, frame: bytes | None = None) -> None:
        """Itself, or a frame that is not its own from the same interface."""
        self._sock.sendto(frame or self.frame, (self._interface, 0))

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


class Markers:
    """All markers of one capture, looked for in its file, raw or text."""

    def __init__(self, ends: Sequence[tuple[NetNs, str]], file: Path, *, text: bool) -> None:
        self.all = [Marker(*end) for end in ends]
        self._wanted = {m.mac.hex(":").encode() if text else m.frame[:HEADER_LEN]: m for m in self.all}
        self._file = file
        self._read = 0  # how far the file has been looked through
        self._tail = b""

    def send(self) -> None:
        """Those that have not been found yet."""
        for marker in self._wanted.values():
            marker.send()

    def found(self) -> bool:
        """True when all are in the file; looks only at what is new since the last time."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return False
        self._read += len(new)
        data = self._tail + new
        self._tail = data[-TAIL_LEN:]
        self._wanted = {wanted: marker for wanted, marker in self._wanted.items() if wanted not in data}
        return not self._wanted

    def close(self) -> None:
        for marker in self.all:
            marker.close()


def count_markers(file: Path, *, text: bool) -> int:
    """How many frames of ours, the canary's too, are in a finished capture, from either end of the link."""
    if not file.exists() or file.stat().st_size == 0:
        return 0
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if text:
            return sum(TEXT_MARKER in line for line in iter(data.readline, b""))
        return sum(1 for ours in (ANY_MARKER, ANY_CANARY) for _ in ours.finditer(data))


def without_markers(file: Path) -> None:
    """Takes our frames out of a text capture, with their dumps: it is read by people and by scripts."""
    kept: list[bytes] = []
    ours = False
    for line in file.read_bytes().splitlines(keepends=True):
        # A frame's dump follows it in lines that begin with a tab.
        ours = TEXT_MARKER in line or (ours and line.startswith(b"\t"))
        if not ours:
            kept.append(line)
    new = file.with_suffix(".new")
    new.write_bytes(b"".join(kept))
    os.replace(new, file)
