"""How far a rate can be trusted: the exact interval of Clopper and Pearson (Biometrika 26, 1934).

Its ends are the rates at which a result so far up, or so far down, would still have had half of
1 - `level`. Found by bisection over the binomial tail, which is a sum of a few hundred terms here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, fsum, lgamma, log, log1p

LEVEL = 0.95
STEPS = 60  # halvings: beyond a float's own precision


def clopper_pearson(hits: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The lowest and the highest rate; (0, 1) where nothing was tried. Raises ValueError."""
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} of {trials} can't be")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else bisect(lambda p: at_least(hits, trials, p) < tail)
    high = 1.0 if hits == trials else bisect(lambda p: at_most(hits, trials, p) > tail)
    return low, high


def bisect(is_below: Callable[[float], bool]) -> float:
    """Where a condition on a rate that holds from 0 on ends."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2


def at_least(hits: int, trials: int, rate: float) -> float:
    """P(X >= hits) of the binomial distribution, 0 < rate < 1."""
    return fsum(mass(k, trials, rate) for k in range(hits, trials + 1))


def at_most(hits: int, trials: int, rate: float) -> float:
    return fsum(mass(k, trials, rate) for k in range(hits + 1))


def mass(hits: int, trials: int, rate: float) -> float:
    """P(X = hits), by logarithms: the coefficients of hundreds of trials are no floats."""
    ways = lgamma(trials + 1) - lgamma(hits + 1) - lgamma(trials - hits + 1)
    return exp(ways + hits * log(rate) + (trials - hits) * log1p(-rate))
