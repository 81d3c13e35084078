"""This machine's own settings: read, never changed, and what can't be read is said."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tcpharness.lab import this_host
from tcpharness.lab.firewall import rules
from tcpharness.lab.this_host import examine_host


def test_what_every_linux_has() -> None:
    found = examine_host()
    assert len(found.sysctl["net.ipv4.tcp_rmem"].split()) == 3
    assert "lo" in found.offload
    assert found.mtu["lo"] > 1500
    lacking = [name for name in this_host.SETTINGS if name not in found.sysctl]
    assert all(any(name in note for note in found.notes) for name in lacking)


def test_without_nft_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_host, "find_program", lambda name: None)
    assert any("nft is not installed" in note for note in examine_host().notes)


def test_a_firewall_that_may_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_host, "find_program", lambda name: "false")
    assert any("the firewall can't be listed: exit status 1" in note for note in examine_host().notes)


def test_rules_and_their_counts() -> None:
    listing = """table inet t {
    chain input {
        type filter hook input priority filter; policy accept;
        tcp dport { 80, 443 } counter packets 7 bytes 420 accept
        ct state established accept
        counter packets 0 bytes 0 reject with tcp reset
    }
}"""
    assert rules(listing) == [
        {"rule": "tcp dport { 80, 443 } accept", "packets": 7, "bytes": 420},
        {"rule": "reject with tcp reset", "packets": 0, "bytes": 0},
    ]


def test_the_command() -> None:
    argv = [sys.executable, "-m", "tcpharness", "doctor", "--host"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    assert "throughput at most" in done.stdout
    assert "net.ipv4.tcp_rmem" in done.stdout
