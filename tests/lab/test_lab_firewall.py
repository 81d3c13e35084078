"""A firewall decides about connection attempts; what is established passes, under every policy."""

from __future__ import annotations

import errno
import socket

import pytest
from built_lab import BuildLab

from tcpharness.lab import build
from tcpharness.lab.build import Lab, LabError
from tcpharness.lab.firewall import ruleset
from tcpharness.scenario.model import Firewall, Place

AT = Place("x.yaml", 1, 1)
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def test_rules_read_from_top_to_bottom() -> None:
    text = ruleset(Firewall("drop", open=(80, 443), closed=(81,), filtered=(), at=AT))
    rules = [line.strip() for line in text.splitlines()]
    accept = rules.index("tcp dport { 80, 443 } counter accept")
    refuse = rules.index("tcp dport { 81 } counter reject with tcp reset")
    assert accept < refuse < rules.index("counter drop")
    assert not any("dport {  }" in rule for rule in rules)


def firewalled(build_lab: BuildLab, firewall: str, ip: int) -> Lab:
    network = f"hosts: {{client: , server: {{firewall: {{{firewall}}}}}}}\nlinks: [[client, server]]"
    lab: Lab = build_lab(network, ip=ip)
    return lab


def attempt(lab: Lab, ip: int, port: int) -> int | None:
    """The errno of a connection to a listening port; None when nothing comes back."""
    with (
        lab.hosts["server"].socket(FAMILY[ip], socket.SOCK_STREAM) as listener,
        lab.hosts["client"].socket(FAMILY[ip], socket.SOCK_STREAM) as sock,
    ):
        listener.bind(("", port))
        listener.listen()
        sock.settimeout(0.2)
        try:
            sock.connect((lab.plan.names["server"], port))
        except TimeoutError:
            return None
        except OSError as error:
            return error.errno
        with listener.accept()[0] as accepted:
            sock.sendall(b"ping")
            assert accepted.recv(10) == b"ping"
            accepted.sendall(b"pong")
            assert sock.recv(10) == b"pong"
        assert sock.recv(10) == b""
    return 0


CASES = [
    ("policy: drop, open: [80], closed: [81]", {80: 0, 81: errno.ECONNREFUSED, 82: None}),
    ("policy: reject, open: [80], filtered: [81]", {80: 0, 81: None, 82: errno.ECONNREFUSED}),
    ("policy: accept, closed: [80], filtered: [81]", {80: errno.ECONNREFUSED, 81: None, 82: 0}),
]


@pytest.mark.netns
@pytest.mark.parametrize("ip", [4, 6])
@pytest.mark.parametrize(("firewall", "answers"), CASES)
def test_each_port_answers_as_it_should(
    build_lab: BuildLab, firewall: str, answers: dict[int, int | None], ip: int
) -> None:
    lab = firewalled(build_lab, firewall, ip)
    assert {port: attempt(lab, ip, port) for port in answers} == answers


@pytest.mark.netns
def test_a_firewalled_host_may_connect_itself(build_lab: BuildLab) -> None:
    lab: Lab = build_lab(
        "hosts: {client: {firewall: {policy: drop}}, server: }\nlinks: [[client, server]]",
    )
    assert attempt(lab, 4, 80) == 0


@pytest.mark.netns
def test_what_it_has_counted_is_in_the_environment(build_lab: BuildLab) -> None:
    lab = firewalled(build_lab, "policy: accept, closed: [81]", 4)
    assert attempt(lab, 4, 81) == errno.ECONNREFUSED
    rules = lab.environment()["server"]["firewall"]
    assert {"rule": "tcp dport 81 reject with tcp reset", "packets": 1}.items() <= rules[2].items()
    assert "firewall" not in lab.environment()["client"]


@pytest.mark.netns
def test_without_nft_the_error_says_what_to_install(
    build_lab: BuildLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "find_program", lambda name: None)
    with pytest.raises(
        LabError, match="host server: firewall: nft is not installed: apt-get install nftables"
    ):
        firewalled(build_lab, "policy: drop", 4)
