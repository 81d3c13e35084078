"""Route metrics in the kernel's units."""

from __future__ import annotations

from typing import Any

import pytest

from tcpharness.lab import routes
from tcpharness.scenario.network_keys import ROUTE_METRICS
from tcpharness.scenario.plan import RoutePlan


def metrics_of(**metrics: int | str) -> dict[str, Any]:
    request = routes.route(RoutePlan("10.0.0.0/24", None, "eth0", metrics, None), 1000)
    return dict(dict(request.attributes)["RTA_METRICS"]["attrs"])


@pytest.mark.parametrize(
    ("name", "value", "kernels"),
    [
        ("rto_min", 50_000_000, 50),
        ("rtt", 20_000_000, 160),  # in eighths
        ("rttvar", 20_000_000, 80),  # in quarters
        ("mtu", 1400, 1400),
        ("features", "ecn", 1),
        ("cc_algo", "reno", "reno"),
    ],
)
def test_units_of_the_kernel(name: str, value: int | str, kernels: int | str) -> None:
    assert metrics_of(**{name: value})["RTAX_" + name.upper()] == kernels


def test_pyroute2_knows_every_metric() -> None:
    """It would leave out an attribute whose name it does not know, without a word."""
    assert set(ROUTE_METRICS) == set(routes.METRICS)
    assert {"RTAX_" + name.upper() for name in routes.METRICS} <= set(routes.NUMBERS)


def test_what_the_kernel_only_takes_locked_is_locked() -> None:
    assert metrics_of(rto_min=50_000_000, cwnd=10, mtu=1400)["RTAX_LOCK"] == 1 << 13 | 1 << 7
    assert metrics_of(mtu=1400)["RTAX_LOCK"] == 0


def test_less_than_the_kernels_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="counts it in milliseconds; expected 1ms or more"):
        metrics_of(rto_min=999_999)
