"""Namespaces as descriptors: entered and left, and gone with the last one."""

from __future__ import annotations

import os
import socket

import pytest

from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Spawner

pytestmark = pytest.mark.netns


def here() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def test_entering_and_leaving(spawner: Spawner) -> None:
    home = here()
    with NetNs() as one, NetNs() as other:
        assert here() == home
        with one.entered():
            inside = here()
            assert inside != home
            with other.entered():
                assert here() not in (home, inside)
        assert here() == home
        with pytest.raises(KeyError), one.entered():
            raise KeyError
        assert here() == home


def test_sockets_stay_where_they_were_opened(spawner: Spawner) -> None:
    with NetNs() as one, one.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        # lo is down in there, so its address is nobody's.
        with pytest.raises(OSError, match="Network is unreachable"):
            sock.connect(("127.0.0.1", 105))


def test_closing_twice_is_harmless(spawner: Spawner) -> None:
    before = len(os.listdir("/proc/self/fd"))
    namespace = NetNs()
    namespace.close()
    namespace.close()
    assert len(os.listdir("/proc/self/fd")) == before
