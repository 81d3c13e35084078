"""A case that this machine has not got everything for is skipped, naming what."""

from __future__ import annotations

import pytest

from tcpharness.lab import doctor
from tcpharness.scenario import fast
from tcpharness.scenario.load import load

TEXT = "scenario: A\nhosts: [a]\n{}expect: {{counters: {{a: {{TcpInErrs: 0}}}}}}\n"


@pytest.mark.parametrize(("line", "lacks"), [("time: fast\n", True), ("", False)])
def test_fast_time_needs_a_kernel_with_its_settings(
    line: str, lacks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "NEEDED", ("net.ipv4.tcp_of_tomorrow",))
    (case,) = load(TEXT.format(line), "x.yaml")
    expected = "this kernel lacks net.ipv4.tcp_of_tomorrow, which time: fast needs" if lacks else None
    assert doctor.lacking_for(case) == expected


@pytest.mark.parametrize(
    ("program", "package"), [("nmap", "nmap"), ("nc", "netcat-openbsd"), ("hping3", "hping3")]
)
def test_a_program_that_is_not_there_skips_with_its_remedy(
    program: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = load(TEXT.format(f"requires: {{programs: {program}}}\n"), "x.yaml")
    monkeypatch.setattr(doctor, "find_program", lambda name: None)
    assert doctor.lacking_for(case) == f"{program} is not installed: apt-get install {package}"
    monkeypatch.setattr(doctor, "find_program", lambda name: f"/usr/bin/{name}")
    assert doctor.lacking_for(case) is None
