"""`expect.settings`: what sysctl, ip route, ethtool and nft list would show, against what is expected."""

from __future__ import annotations

import pytest
from verdict_scene import Scene, case_of, text_of

from tcpharness.scenario.problem import ScenarioErrors

FOUND = {
    "sysctl": {"net.ipv4.tcp_sack": "1", "net.ipv4.tcp_rmem": "4096 131072 6291456"},
    "routes": ["10.0.0.0/24 dev eth0 rto_min 50ms", "default via 10.0.0.2 dev eth0"],
    "offload": {"eth0": {"tcp-segmentation-offload": False, "tx-checksumming": True}},
    "firewall": [
        {"rule": "tcp dport { 80, 443 } accept", "packets": 7, "bytes": 420},
        {"rule": "drop", "packets": 0, "bytes": 0},
    ],
}


def scene_with(expect: str) -> Scene:
    scene = Scene(f"settings: {{server: {expect}}}")
    scene.talk()
    scene.evidence.environment = {"server": FOUND}
    return scene


@pytest.mark.parametrize(
    "expect",
    [
        "{sysctl: {net.ipv4.tcp_sack: 1}}",
        "{sysctl: {net.ipv4.tcp_rmem: 4096  131072 6291456}}",
        "{routes: [rto_min 50ms 10.0.0.0/24, default via 10.0.0.2]}",
        "{offload: {eth0: {tcp-segmentation-offload: off, tx-checksumming: on}}}",
        "{firewall: {dport 443 accept: 7, drop: 0}}",
        '{firewall: {dport 80: "1.."}}',
    ],
)
def test_holds(expect: str) -> None:
    verdict = scene_with(expect).judge()
    assert verdict.outcome == "pass", text_of(verdict)


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("{sysctl: {net.ipv4.tcp_sack: 0}}", "expected net.ipv4.tcp_sack 0 at server\n    found 1"),
        ("{routes: [rto_min 60ms]}", "found 10.0.0.0/24 dev eth0 rto_min 50ms; default via"),
        ("{routes: [0ms]}", "expected a route of server with 0ms"),
        (
            "{offload: {eth0: {tx-checksumming: off}}}",
            "expected eth0 tx-checksumming off at server\n    found on",
        ),
        ("{offload: {eth1: {tx-checksumming: off}}}", "there is no eth1 tx-checksumming"),
        ("{firewall: {dport 80: 8}}", "found 7 by tcp dport { 80, 443 } accept"),
        ("{firewall: {dport 81: 8}}", "0 rules have those words"),
        ("{firewall: {dport 8: 7}}", "0 rules have those words"),
    ],
)
def test_fails_and_shows_what_is_in_force(expect: str, words: str) -> None:
    verdict = scene_with(expect).judge()
    assert verdict.outcome == "fail"
    assert words in text_of(verdict)


def test_words_that_fit_several_rules_are_no_rule() -> None:
    scene = scene_with("{firewall: {tcp: 7}}")
    scene.evidence.environment["server"] = FOUND | {"firewall": FOUND["firewall"] * 2}  # type: ignore[operator]
    assert "2 rules have those words" in text_of(scene.judge())


@pytest.mark.parametrize(
    ("expect", "found", "words"),
    [
        ("{sysctl: {net.ipv4.tcp_plb_enabled: 0}}", FOUND, "this kernel lacks net.ipv4.tcp_plb_enabled"),
        ("{firewall: {drop: 0}}", FOUND | {"firewall_error": "Operation not permitted"}, "can't be listed"),
        ("{sysctl: {net.ipv4.tcp_sack: 1}}", None, "were never read"),
    ],
)
def test_what_can_t_be_seen_skips(expect: str, found: dict[str, object] | None, words: str) -> None:
    scene = scene_with(expect)
    scene.evidence.environment = {} if found is None else {"server": found}
    verdict = scene.judge()
    assert verdict.outcome == "skip"
    assert words in verdict.reason


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("{}", "it asks for nothing"),
        ("{sysctls: {}}", 'unknown key "sysctls"'),
        ("{offload: {eth0: {tso: on}}}", 'unknown key "tso"'),
        ("{offload: {eth0: {tx-checksumming: 7}}}", "on, off"),
        ("{firewall: {drop: many}}", "is not a count"),
        ("{routes: dev eth0}", "a list of routes"),
    ],
)
def test_mistakes_are_named(expect: str, words: str) -> None:
    with pytest.raises(ScenarioErrors) as error:
        case_of(f"settings: {{server: {expect}}}")
    assert words in str(error.value)
