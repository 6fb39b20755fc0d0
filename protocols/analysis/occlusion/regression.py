"""Ordinary least squares in a few unknowns, the same to the last bit on every computer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data.samples import FloatArray

DEPENDENT = 1e-10
"""A column of which no more than this share is its own says nothing that the others do not."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients in the order of the columns, the residuals' sum of squares, degrees of freedom.

    ``inverse`` is that of the normal matrix: the covariance of the coefficients for rows of one unit of uncertainty.
    """

    coefficients: tuple[float, ...]
    inverse: tuple[tuple[float, ...], ...]
    rss: float
    dof: int

    @property
    def rms(self) -> float:
        """Standard deviation of the residuals; 0 without degrees of freedom."""
        return math.sqrt(self.rss / self.dof) if self.dof else 0.0

    def u(self, index: int) -> float:
        """Standard uncertainty of a coefficient, from the scatter of the residuals."""
        return math.sqrt(self.rss / self.dof * self.inverse[index][index]) if self.dof else 0.0

    def u_of_scaled(self, index: int) -> float:
        """The same where each row was divided by its standard uncertainty; more where the residuals exceed those."""
        return math.sqrt(self.inverse[index][index]) * max(self.rms, 1.0)


def least_squares(columns: Sequence[FloatArray], y: FloatArray) -> Fit | None:
    """Fit ``y`` (n,) as a sum of columns (n,), each times a coefficient; None where the columns do not tell them apart.

    Notes
    -----
    Modified Gram-Schmidt (Golub and Van Loan, Matrix Computations, 5.2.8) with exact sums: no LAPACK, whose last bits
    differ between builds.
    """
    m, n = len(columns), y.size
    if n < m:
        return None
    basis: list[FloatArray] = []
    upper = [[0.0] * m for _ in range(m)]
    rest, projected = y, [0.0] * m
    for j, column in enumerate(columns):
        own = column
        size = _dot(column, column)
        for i, direction in enumerate(basis):
            upper[i][j] = _dot(direction, own)
            own = own - upper[i][j] * direction
        norm = math.sqrt(_dot(own, own))
        if not norm * norm > DEPENDENT * size:
            return None
        upper[j][j] = norm
        basis.append(own / norm)
        projected[j] = _dot(basis[j], rest)
        rest = rest - projected[j] * basis[j]
    rss, dof = _dot(rest, rest), n - m
    inverse = _inverse(upper)
    coefficients = tuple(math.fsum(inverse[i][j] * projected[j] for j in range(m)) for i in range(m))
    normal = tuple(
        tuple(math.fsum(inverse[i][k] * inverse[j][k] for k in range(m)) for j in range(m)) for i in range(m)
    )
    return Fit(coefficients, normal, rss, dof)


def _inverse(upper: list[list[float]]) -> list[list[float]]:
    """Inverse of an upper triangular matrix."""
    m = len(upper)
    inverse = [[0.0] * m for _ in range(m)]
    for j in range(m):
        inverse[j][j] = 1.0 / upper[j][j]
        for i in range(j - 1, -1, -1):
            inverse[i][j] = -math.fsum(upper[i][k] * inverse[k][j] for k in range(i + 1, j + 1)) / upper[i][i]
    return inverse


def _dot(a: FloatArray, b: FloatArray) -> float:
    return math.fsum((a * b).tolist())
