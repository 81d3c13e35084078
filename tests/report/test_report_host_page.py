"""`doctor --host`: settings with their meaning, and what windows and round-trip times allow."""

from __future__ import annotations

import pytest

from tcpharness.evidence import HostSettings
from tcpharness.report.host_page import host_page, rate, size
from tcpharness.scenario.setting_words import SETTINGS


def machine(**changes: str) -> HostSettings:
    values = {"net.ipv4.tcp_rmem": "4096 131072 6291456", "net.ipv4.tcp_wmem": "4096 16384 4194304"}
    return HostSettings(
        sysctl=values | {f"net.ipv4.{name}": value for name, value in changes.items()},
        routes=["default via 192.0.2.1 dev eth0"],
        offload={"eth0": {"tcp-segmentation-offload": True, "scatter-gather": False}},
        mtu={"eth0": 1500},
        firewall=[{"rule": "tcp dport 22 accept", "packets": 12, "bytes": 720}],
        notes=["this kernel lacks net.ipv4.tcp_rto_min_us"],
    )


def test_the_whole_page() -> None:
    page = host_page(machine(tcp_window_scaling="1"))
    assert "net.ipv4.tcp_window_scaling  1                    0: no window above 64 KiB" in page
    assert "eth0: mtu 1500; on: tcp-segmentation-offload" in page
    assert "on no wire" in page
    assert "12  tcp dport 22 accept" in page
    assert "receive window, largest (3 MiB)" in page
    assert page.splitlines()[-1] == "  this kernel lacks net.ipv4.tcp_rto_min_us"


def row(page: str, title: str, rtt: str) -> str:
    section = next(part for part in page.split("\n\n") if part.startswith(title))
    return next(line for line in section.splitlines() if line.strip().startswith(f"{rtt}  "))


def test_the_ceiling_is_window_over_round_trip_time() -> None:
    line = row(host_page(machine()), "throughput", "100 ms")
    assert line.endswith(" 336 Mbit/s")  # 4 MiB in 100 ms
    assert "252 Mbit/s" in line  # 3 MiB
    assert "5.24 Mbit/s" in line  # 64 KiB without scaling


def test_without_scaling_no_receive_window_is_larger() -> None:
    page = host_page(machine(tcp_window_scaling="0"))
    assert "receive window, largest (64 KiB)" in page
    assert "send buffer, largest (4 MiB)" in page


def test_what_a_path_holds() -> None:
    assert row(host_page(machine()), "what a path holds", "100 ms").split()[2:] == [
        "1.19", "MiB", "11.9", "MiB", "119", "MiB",
    ]  # fmt: skip


def test_a_machine_that_tells_nothing() -> None:
    page = host_page(HostSettings(notes=["everything"]))
    assert "receive window" not in page
    assert page.endswith("not known here\n  everything")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(rate(1.336e12), "1.34 Tbit/s"), (rate(2.5e9), "2.5 Gbit/s"), (rate(80_000), "80 kbit/s"),
     (size(65535), "64 KiB"), (size(100), "100 B"), (size(3 << 30), "3 GiB")],
)  # fmt: skip
def test_figures(shown: str, expected: str) -> None:
    assert shown == expected


def test_every_setting_has_words() -> None:
    assert all(words and not words.endswith(".") for words in SETTINGS.values())


def test_a_round_trip_of_somebody_s_own() -> None:
    (row,) = [
        line for line in host_page(machine(), 37.5).splitlines() if "37.5 ms" in line and "bit/s" in line
    ]
    assert "14 Mbit/s" in row  # 64 KiB
    assert "37.5 ms" not in host_page(machine())


def test_a_machine_without_firewall_says_so() -> None:
    found = machine()
    found.firewall = []
    assert "packets counted by each rule\n  none" in host_page(found)
    found.notes.append("the firewall can't be listed: nft is not installed")
    assert "packets counted by each rule" not in host_page(found)
