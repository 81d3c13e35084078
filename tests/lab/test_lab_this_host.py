"""This machine's own settings: read, never changed, and what can't be read is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tcpharness.lab import doctor, inet_diag, this_host
from tcpharness.lab.firewall import rules
from tcpharness.lab.this_host import examine_host
from tcpharness.scenario.quiet import defaults
from tcpharness.scenario.setting_words import SETTINGS


def test_what_every_linux_has() -> None:
    found = examine_host()
    assert len(found.sysctl["net.ipv4.tcp_rmem"].split()) == 3
    assert "lo" in found.offload
    assert found.mtu["lo"] > 1500
    lacking = [name for name in SETTINGS if name not in found.sysctl]
    assert all(any(name in note for note in found.notes) for name in lacking)


def test_without_nft_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_host, "find_program", lambda name: None)
    assert any("nft is not installed" in note for note in examine_host().notes)


def test_a_firewall_that_may_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_host, "find_program", lambda name: "false")
    assert any("the firewall can't be listed: exit status 1" in note for note in examine_host().notes)


@pytest.mark.parametrize("root", [True, False])
def test_tracepoints_are_for_root(root: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_root", lambda: root)
    check = doctor.check_tracepoints()
    assert not check.needed
    assert check.ok == (root and "tracefs" in Path("/proc/filesystems").read_text().split())
    assert (check.remedy == "run as root") == (not root)


@pytest.mark.parametrize(("name", "ok"), [("reno", True), ("vegas", False)])
def test_a_congestion_control_that_labs_may_not_choose(
    name: str, ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CONGESTION", name)
    check = doctor.check_congestion()
    assert (check.ok, check.needed) == (ok, False)
    assert ("reno" in check.remedy and name in check.remedy) == (not ok)


def test_what_labs_ask_for_is_what_the_check_is_about() -> None:
    assert dict(defaults(4))["net.ipv4.tcp_congestion_control"] == doctor.CONGESTION


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


def test_a_kernel_that_lists_no_sockets_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_sockets().ok
    of_dccp = bytearray(inet_diag.request(1 << inet_diag.LISTEN))
    of_dccp[4] = 19  # DCCPDIAG_GETSOCK, which hardly any kernel has: refused as TCP's is without tcp_diag
    monkeypatch.setattr(doctor, "request", lambda states: bytes(of_dccp))
    check = doctor.check_sockets()
    assert (check.ok, check.needed) == (False, True)
    assert "tcp_diag" in check.remedy
