"""From a case to addresses, routes, settings and vantages."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from tcpharness.scenario.load import load
from tcpharness.scenario.plan import HostPlan, Plan, make_plan

PAIR = "hosts: [client, server]\nlinks: [[client, server]]\n"
CHAIN = """hosts: [client, left, right, server]
links: [[client, left], [left, right], [right, server]]
"""
EXPECT = "expect: {counters: {%s: {TcpInErrs: 0}}}\n"


def plan(text: str, number: int = 0) -> Plan:
    first = "client" if "client" in text else "a"
    expect = "" if "expect:" in text else EXPECT % first
    (case,) = load(f"scenario: A\n{text}{expect}", "x.yaml", findings={"gap": ()})
    return make_plan(case, number)


def host(found: Plan, name: str) -> HostPlan:
    return next(host for host in found.hosts if host.name == name)


def routes(found: Plan, name: str) -> dict[str, tuple[str | None, str]]:
    return {route.dst: (route.via, route.dev) for route in host(found, name).routes}


def settings(found: Plan, name: str) -> dict[str, str]:
    return {key: value for key, value, _ in host(found, name).sysctl}


def test_a_pair() -> None:
    found = plan(PAIR)
    (link,) = found.links
    assert (link.name, link.kind, link.mtu, link.delay_ns) == ("client-server", "pair", 1500, 0)
    client, server = link.ends
    assert (client.host, client.name, client.address, client.prefix_len) == ("client", "eth0", "10.0.0.1", 24)
    assert client.neighbours == ((server.address, server.mac),)
    assert found.names == {"client": "10.0.0.1", "server": "10.0.0.2"}
    assert found.vantages == (("client", "client", "eth0"), ("server", "server", "eth0"))
    assert routes(found, "client") == {}


def test_the_same_case_and_number_give_the_same_plan() -> None:
    assert plan(CHAIN, 7) == plan(CHAIN, 7)


@pytest.mark.parametrize("ip", [4, 6])
def test_no_two_labs_share_an_address_or_a_mac(ip: int) -> None:
    ends = [
        end for n in range(0, 4000, 97) for link in plan(f"{CHAIN}ip: {ip}\n", n).links for end in link.ends
    ]
    assert len({end.address for end in ends}) == len(ends)
    assert len({end.mac for end in ends}) == len(ends)
    private = ip_network("10.0.0.0/8" if ip == 4 else "fd00::/8")
    assert all(ip_address(end.address) in private for end in ends)


def test_what_makes_a_middlebox() -> None:
    assert plan(PAIR + "faults: [{when: {}, do: drop}]\n").links[0].kind == "middlebox"
    delayed = PAIR.replace("[[client, server]]", "[{join: [client, server], delay: 5ms}]")
    assert plan(delayed).links[0].kind == "middlebox"
    assert plan("hosts: [a, b, c]\nlinks: [[a, b, c]]\n").links[0].kind == "bridge"


def test_a_bridge_has_all_the_others_as_neighbours() -> None:
    (link,) = plan("hosts: [a, b, c]\nlinks: [[a, b, c]]\n").links
    assert [len(end.neighbours) for end in link.ends] == [2, 2, 2]
    assert (link.ends[1].address, link.ends[1].mac) in link.ends[0].neighbours


def test_the_largest_link_has_an_address_for_everybody() -> None:
    hosts = [f"a{n}" for n in range(250)]
    text = f"hosts: {hosts}\nlinks: [{hosts}]\nexpect: {{counters: {{a0: {{TcpInErrs: 0}}}}}}\n"
    assert plan(text).links[0].ends[-1].address == "10.0.0.250"


def test_addresses_as_given() -> None:
    text = """hosts: [a, b]
links: [{join: [a, b], mtu: 9000, addresses: {a: 192.0.2.1/28, b: 192.0.2.2/28}}]
"""
    first, second = plan(text).links[0].ends
    assert (first.address, first.prefix_len, first.mtu, second.address) == (
        "192.0.2.1",
        28,
        9000,
        "192.0.2.2",
    )


# --- routes


def test_routes_through_a_chain_are_derived() -> None:
    found = plan(CHAIN)
    assert routes(found, "client") == {
        "10.0.1.0/24": ("10.0.0.2", "eth0"),
        "10.0.2.0/24": ("10.0.0.2", "eth0"),
    }
    assert routes(found, "left") == {"10.0.2.0/24": ("10.0.1.2", "eth1")}
    assert routes(found, "right") == {"10.0.0.0/24": ("10.0.1.1", "eth0")}
    assert settings(found, "left")["net.ipv4.ip_forward"] == "1"
    assert settings(found, "client")["net.ipv4.ip_forward"] == "0"


def test_routes_take_the_shortest_path() -> None:
    # a - b - c - d and a - d: from a, the link c-d is one hop by d.
    found = plan("hosts: [a, b, c, d]\nlinks: [[a, b], [b, c], [c, d], [a, d]]\n")
    assert routes(found, "a") == {"10.0.1.0/24": ("10.0.0.2", "eth0"), "10.0.2.0/24": ("10.0.3.2", "eth1")}


def test_a_host_that_does_not_forward_is_no_way() -> None:
    hosts = (
        "hosts: {client: , router: {forward: off}, server: }\nlinks: [[client, router], [router, server]]\n"
    )
    found = plan(hosts)
    assert routes(found, "client") == {}
    assert settings(found, "router")["net.ipv4.ip_forward"] == "0"


def test_routers_of_ipv6() -> None:
    found = plan(CHAIN + "ip: 6\n")
    assert routes(found, "client")["fd00:7c:2::/64"] == ("fd00:7c::2", "eth0")
    assert settings(found, "left")["net.ipv6.conf.all.forwarding"] == "1"


def given(routes: str) -> str:
    chain = f"hosts: {{client: {{routes: [{routes}]}}, left: , right: , server: }}\n"
    return chain + CHAIN.partition("\n")[2]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("{to: default, via: left}", {"0.0.0.0/0": ("10.0.0.2", "eth0")}),
        ("{to: default, via: 10.0.0.9}", {"0.0.0.0/0": ("10.0.0.9", "eth0")}),
        ("{to: server, rto_min: 50ms}", {"10.0.2.2/32": ("10.0.0.2", "eth0")}),
        ("{to: left}", {"10.0.0.2/32": (None, "eth0"), "10.0.1.1/32": ("10.0.0.2", "eth0")}),
        ("{to: 10.0.2.0/24, mtu: 1400}", {"10.0.2.0/24": ("10.0.0.2", "eth0")}),
        ("{to: 10.0.0.0/24, quickack: 1}", {"10.0.0.0/24": (None, "eth0")}),
        ("{to: 192.0.2.0/24}", {"192.0.2.0/24": (None, "eth0")}),
    ],
)
def test_given_routes_replace_or_add(route: str, expected: dict[str, tuple[str | None, str]]) -> None:
    derived = {"10.0.1.0/24": ("10.0.0.2", "eth0"), "10.0.2.0/24": ("10.0.0.2", "eth0")}
    found = plan(given(route))
    assert routes(found, "client") == {**derived, **expected}
    written = [r for r in host(found, "client").routes if r.dst in expected]
    assert all(r.at is not None for r in written)


def test_metrics_go_with_the_route() -> None:
    found = host(plan(given("{to: server, rto_min: 50ms, features: ecn}")), "client").routes
    assert found[-1].metrics == {"rto_min": 50_000_000, "features": "ecn"}


# --- settings


def test_quiet_defaults_carry_no_place_and_the_scenario_wins() -> None:
    text = PAIR.replace(
        "[client, server]\nl", "{client: {sysctl: {net.ipv4.tcp_early_retrans: 3}}, server: }\nl"
    )
    client = {name: (value, at) for name, value, at in host(plan(text), "client").sysctl}
    assert client["net.ipv4.tcp_rmem"] == ("4096 6291456 6291456", None)
    value, at = client["net.ipv4.tcp_early_retrans"]
    assert (value, str(at)) == ("3", "x.yaml:2:27")
    names = [name for name, _, _ in host(plan(text), "client").sysctl]
    assert len(names) == len(set(names))
    assert names[-1] == "net.ipv4.tcp_early_retrans"


def test_ipv6_is_off_in_a_case_of_ipv4() -> None:
    assert settings(plan(PAIR), "client")["net.ipv6.conf.default.disable_ipv6"] == "1"
    assert settings(plan(PAIR + "ip: 6\n"), "client")["net.ipv6.conf.default.disable_ipv6"] == "0"


# --- vantages


def names(text: str) -> list[str]:
    return [name for name, _, _ in plan(text).vantages]


def test_every_interface_of_a_link_is_a_vantage() -> None:
    assert names(CHAIN) == ["client", "left.eth0", "left.eth1", "right.eth0", "right.eth1", "server"]


def test_a_host_alone_is_seen_on_lo() -> None:
    assert plan("hosts: [a]\n").vantages == (("a", "a", "lo"),)
    assert plan("hosts: [a]\n").names == {"a": "127.0.0.1"}
    assert plan("hosts: [a]\nip: 6\n").names == {"a": "::1"}
    assert plan("hosts: [a]\nexpect: {findings: {a.lo: {}}}\n").vantages == (("a", "a", "lo"),)


@pytest.mark.parametrize(
    "more",
    [
        "expect: {findings: {server.lo: {}}}\n",
        "expect: {capture: {server.lo: {dropped: 0}}}\n",
        "capture: {server.lo: {snaplen: 96}}\n",
        "endpoints: {a: {on: server, listen: 1}, b: {on: server, connect: a}}\n",
        'endpoints: {b: {on: server, connect: "server:1"}}\n',
        "endpoints: {b: {on: server, connect: 127.0.0.1:1}}\n",
    ],
)
def test_lo_is_seen_where_it_is_named_or_used(more: str) -> None:
    assert names(PAIR + more) == ["client", "server", "server.lo"]


def test_lo_is_not_seen_otherwise() -> None:
    text = PAIR + "endpoints: {a: {on: server, listen: 1}, b: {on: client, connect: a}}\n"
    assert names(text) == ["client", "server"]


def test_what_is_off_is_not_captured() -> None:
    assert names(PAIR + "capture: {server: off}\n") == ["client"]


# --- time: fast


def test_fast_time_is_on_every_route_and_the_scenarios_own_wins() -> None:
    own = "{routes: [{to: server, rto_min: 1s}], sysctl: {net.ipv4.tcp_retries2: 9}}"
    found = plan(f"hosts: {{client: {own}, r: , server: }}\nlinks: [[client, r], [r, server]]\ntime: fast\n")
    metrics = {route.dst: route.metrics for route in host(found, "client").routes}
    assert metrics == {
        "10.0.0.0/24": {"rto_min": 20_000_000, "quickack": 1},
        "10.0.1.0/24": {"rto_min": 20_000_000, "quickack": 1},
        "10.0.1.2/32": {"rto_min": 1_000_000_000, "quickack": 1},
    }
    assert settings(found, "client")["net.ipv4.tcp_retries2"] == "9"
    assert settings(found, "server")["net.ipv4.tcp_retries2"] == "2"
    assert settings(found, "server")["net.ipv4.tcp_rto_min_us"] == "20000"
    assert "net.ipv4.tcp_retries2" not in settings(plan(PAIR), "client")
