"""Route metrics in the kernel's units."""

from __future__ import annotations

import pytest

from tcpharness.lab import routes
from tcpharness.lab.netlink import attributes, number
from tcpharness.scenario.plan import RoutePlan


def metrics_of(**metrics: int | str) -> dict[int, bytes]:
    request = routes.route(RoutePlan("10.0.0.0/24", None, "eth0", metrics, None), 1000)
    return attributes(attributes(request.body[routes.RTMSG.size :])[routes.RTA_METRICS])


@pytest.mark.parametrize(
    ("name", "value", "kernels"),
    [
        ("rto_min", 50_000_000, 50),
        ("rtt", 20_000_000, 160),  # in eighths
        ("rttvar", 20_000_000, 80),  # in quarters
        ("mtu", 1400, 1400),
        ("features", "ecn", 1),
    ],
)
def test_units_of_the_kernel(name: str, value: int | str, kernels: int) -> None:
    assert metrics_of(**{name: value})[routes.METRICS[name]] == number(0, kernels)[4:]


def test_what_the_kernel_only_takes_locked_is_locked() -> None:
    locked = int.from_bytes(metrics_of(rto_min=50_000_000, cwnd=10, mtu=1400)[routes.RTAX_LOCK], "little")
    assert locked == 1 << routes.METRICS["rto_min"] | 1 << routes.METRICS["cwnd"]


def test_less_than_the_kernels_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="counts it in milliseconds; expected 1ms or more"):
        metrics_of(rto_min=999_999)
