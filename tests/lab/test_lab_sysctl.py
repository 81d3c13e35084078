"""Settings: which need an interface, which may be written at all, and why one was refused."""

from __future__ import annotations

import errno

import pytest

from tcpharness.lab import sysctl


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("net.ipv4.tcp_sack", False),
        ("net.ipv6.conf.all.accept_ra", False),
        ("net.ipv6.conf.default.accept_ra", False),
        ("net.ipv6.conf.eth0.accept_ra", True),
        ("net.ipv4.neigh.eth1.gc_stale_time", True),
        ("net.ipv4.conf.lo.rp_filter", False),
        ("net.ipv6.conf.all.forwarding", True),  # a router's interfaces would report that they are one's
        ("net.ipv4.ip_forward", False),
    ],
)
def test_settings_of_an_interface_wait_for_it(name: str, needs: bool) -> None:
    assert sysctl.needs_interface(name) is needs


@pytest.mark.parametrize(
    "name", ["kernel.hostname", "net", "net.ipv4/../../kernel.hostname", "net..x", "vm.swappiness"]
)
def test_nothing_outside_of_net_is_ever_touched(name: str) -> None:
    with pytest.raises(ValueError, match="no network setting"):
        sysctl.write(name, "x")
    with pytest.raises(ValueError, match="no network setting"):
        sysctl.read(name)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOENT, "x"), "this kernel has no such setting"),
        (OSError(errno.EINVAL, "x"), "the kernel refuses the value '7' (Invalid argument)"),
        (OSError(errno.EROFS, "x"), "/proc/sys is mounted read-only here"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (ValueError("no network setting"), "no network setting"),
    ],
)
def test_reasons_are_in_words(error: OSError | ValueError, words: str) -> None:
    assert sysctl.reason(error, "7").startswith(words)
