"""The kernel's counters, by nstat's names, each host's own."""

from __future__ import annotations

import socket

import pytest
from built_lab import PAIR, BuildLab

from tcpharness.lab import counters


def test_differences_are_by_name() -> None:
    before, after = {"TcpInSegs": 3, "TcpOutSegs": 1}, {"TcpInSegs": 5, "TcpOutSegs": 1, "IpNew": 2}
    assert counters.difference(before, after) == {"TcpInSegs": 2, "TcpOutSegs": 0, "IpNew": 2}


@pytest.mark.netns
def test_only_the_hosts_own_are_counted(build_lab: BuildLab) -> None:
    lab = build_lab(PAIR)
    before = {name: counters.read(ns) for name, ns in lab.hosts.items()}
    with (
        lab.hosts["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as sock,
        pytest.raises(ConnectionRefusedError),
    ):
        sock.connect((lab.plan.names["server"], 105))
    counted = {name: counters.difference(before[name], counters.read(ns)) for name, ns in lab.hosts.items()}
    client, server = counted["client"], counted["server"]
    assert (client["TcpActiveOpens"], client["TcpAttemptFails"], client["TcpRetransSegs"]) == (1, 1, 0)
    assert (server["TcpActiveOpens"], server["TcpInSegs"], server["TcpOutRsts"]) == (0, 1, 1)


@pytest.mark.netns
def test_names_are_those_of_nstat(build_lab: BuildLab) -> None:
    found = counters.read(build_lab(PAIR, ip=6).hosts["client"])
    assert {"IpInHdrErrors", "TcpRetransSegs", "TcpExtTCPTimeouts", "IpExtInOctets", "Ip6InReceives"} <= set(
        found
    )
