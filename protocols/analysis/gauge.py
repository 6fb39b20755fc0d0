"""Whether results of different people and stations agree: gauge repeatability and reproducibility, and En numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import fdtrc

POOLED_ABOVE = 0.05
"""An interaction of a larger p is taken for repeatability."""


@dataclass(frozen=True, slots=True)
class Source:
    """A line of the analysis of variance; ``p`` is that no such source is there, None where it cannot be tested."""

    name: str
    squares: float
    freedom: int
    mean_square: float
    f: float | None = None
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """Gauge R&R of a crossed study; standard deviations in the unit of the values.

    Attributes
    ----------
    repeatability : of one operator on one part.
    reproducibility : between operators, the interaction of operator and part included.
    gauge : both together; ``parts`` between the parts; ``total`` all of it.
    interaction_pooled : the interaction was no more than chance, and counts as repeatability.
    """

    sources: tuple[Source, ...]
    repeatability: float
    reproducibility: float
    gauge: float
    parts: float
    total: float
    interaction_pooled: bool

    @property
    def gauge_percent(self) -> float:
        """Share of the gauge in the total standard deviation; AIAG: under 10 % good, over 30 % not acceptable."""
        return 100.0 * self.gauge / self.total if self.total > 0.0 else math.nan

    @property
    def distinct_categories(self) -> int:
        """How many kinds of parts it can tell apart: floor of 1.41 parts / gauge, at least 1."""
        return max(1, math.floor(1.41 * self.parts / self.gauge)) if self.gauge > 0.0 else 1


def gauge_study(values: Sequence[Sequence[Sequence[float]]]) -> Gauge:
    """Gauge R&R by analysis of variance.

    Parameters
    ----------
    values : (parts, operators, repeats), each part measured equally often by each operator; two at least of each.

    Raises
    ------
    ValueError
        The study is not balanced, or too small.

    Notes
    -----
    Two-way random model with interaction, expected mean squares as in AIAG, Measurement Systems Analysis, 4th edition
    (2010), appendix A.  A variance that comes out negative is 0.
    """
    p, o = len(values), len(values[0]) if values else 0
    n = len(values[0][0]) if o else 0
    if any(len(row) != o or any(len(cell) != n for cell in row) for row in values):
        raise ValueError("a gauge study needs each part measured equally often by each operator; complete it")
    if min(p, o, n) < 2:
        raise ValueError("a gauge study needs two parts, two operators and two repeats at least; measure more")
    cells = [[math.fsum(cell) / n for cell in row] for row in values]
    of_parts = [math.fsum(row) / o for row in cells]
    of_operators = [math.fsum(row[k] for row in cells) / p for k in range(o)]
    mean = math.fsum(of_parts) / p
    ss_part = o * n * math.fsum((x - mean) ** 2 for x in of_parts)
    ss_operator = p * n * math.fsum((x - mean) ** 2 for x in of_operators)
    ss_both = n * math.fsum(
        (cells[i][k] - of_parts[i] - of_operators[k] + mean) ** 2 for i in range(p) for k in range(o)
    )
    ss_error = math.fsum((x - cells[i][k]) ** 2 for i in range(p) for k in range(o) for x in values[i][k])
    return _gauge((p, o, n), ss_part, ss_operator, ss_both, ss_error)


def _gauge(shape: tuple[int, int, int], ss_part: float, ss_operator: float, ss_both: float, ss_error: float) -> Gauge:
    p, o, n = shape
    both, error = _source("operator x part", ss_both, (p - 1) * (o - 1)), _source("repeat", ss_error, p * o * (n - 1))
    both = _tested(both, error)
    pooled = both.p is None or both.p > POOLED_ABOVE
    rest = _source("pooled", ss_both + ss_error, both.freedom + error.freedom)
    against = rest if pooled else both
    part = _tested(_source("part", ss_part, p - 1), against)
    operator = _tested(_source("operator", ss_operator, o - 1), against)
    noise = rest.mean_square if pooled else error.mean_square
    interaction = 0.0 if pooled else max(0.0, (both.mean_square - error.mean_square) / n)
    operators = max(0.0, (operator.mean_square - against.mean_square) / (p * n)) + interaction
    parts = max(0.0, (part.mean_square - against.mean_square) / (o * n))
    return Gauge(
        (part, operator, both, error),
        math.sqrt(noise),
        math.sqrt(operators),
        math.sqrt(noise + operators),
        math.sqrt(parts),
        math.sqrt(noise + operators + parts),
        pooled,
    )


def _source(name: str, squares: float, freedom: int) -> Source:
    return Source(name, squares, freedom, squares / freedom)


def _tested(source: Source, against: Source) -> Source:
    if against.mean_square <= 0.0:
        return source
    f = source.mean_square / against.mean_square
    p = float(fdtrc(source.freedom, against.freedom, f))
    return Source(source.name, source.squares, source.freedom, source.mean_square, f, p)


def en_number(value_a: float, u_expanded_a: float, value_b: float, u_expanded_b: float) -> float:
    """Difference of two results over its expanded uncertainty; within -1 to 1 they agree.

    Notes
    -----
    ISO 13528:2022, 9.7; both uncertainties are expanded ones (k = 2), of results that do not depend on each other.
    """
    return (value_a - value_b) / math.hypot(u_expanded_a, u_expanded_b)
