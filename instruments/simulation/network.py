"""Two pressure nodes in a row, each with creep or without, stepped exactly.

Node 1 is the pump's outlet with the proximal half of the catheter, node 2 its distal half:

    C1 dP1/dt = s1 - g1·P1 - g12·(P1 - P2) - k1·(P1 - X1)        X1' = (P1 - X1) / tau
    C2 dP2/dt = s2 - g2·P2 + g12·(P1 - P2) - k2·(P2 - X2)        X2' = (P2 - X2) / tau

with the sources s1 and s2 constant in each interval.  Silicone under pressure goes on to give way: behind each node a
second compliance, a share of the node's own, fills with the time constant tau through k = share·C / tau (the standard
linear solid).  In the coordinates √C·P the system is symmetric, so all its modes are real; each is a recurrence, and
its time integral is as exact as the pressure itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from instruments.simulation.grid import DT_S
from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import recurrence

BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Network:
    """Compliances in µL/kPa; conductances in µL/(s kPa) to fixed pressures at nodes 1 and 2, and between them.

    ``creep1`` and ``creep2`` are the compliances behind the nodes, in µL/kPa, and ``creep_s`` their time constant;
    without creep there are two modes, with it there are four.
    """

    c1: float
    c2: float
    g1: float
    g12: float
    g2: float
    creep1: float = 0.0
    creep2: float = 0.0
    creep_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Response:
    """Pressures in kPa at the n + 1 grid points, and their integrals over each of the n intervals in kPa·s.

    ``crept`` are the pressures of the compliances behind the nodes; none without creep.
    """

    p1: FloatArray
    p2: FloatArray
    integral1: FloatArray
    integral2: FloatArray
    crept: tuple[FloatArray, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """What a part of one interval leaves: the pressures of all nodes, and the integrals of the first two."""

    pressures: tuple[float, ...]
    integral1: float
    integral2: float


@dataclass(frozen=True, slots=True)
class _Mode:
    """One mode: its rate in 1/s, its share in the pressure of each node, and the share of each node in it."""

    rate: float
    to: tuple[float, ...]
    of: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """One mode in one interval: y' = kept·y + once·f, and the integral of y is once·y + twice·f."""

    mode: _Mode
    kept: float
    once: float
    twice: float


def respond(
    network: Network, p1: float, p2: float, s1: FloatArray, s2: FloatArray, crept: Sequence[float] = ()
) -> Response:
    """Step the network from the pressures ``p1``, ``p2`` (and ``crept``) under sources of shape (n,) in µL/s."""
    steps = _steps(network)
    start = (p1, p2, *crept)
    courses = [_follow(step, start, s1, s2) for step in steps]
    pressures, integrals = [course[0] for course in courses], [course[1] for course in courses]

    def node(i: int, parts: list[FloatArray]) -> FloatArray:
        total: FloatArray = steps[0].mode.to[i] * parts[0]
        for step, part in zip(steps[1:], parts[1:], strict=True):
            total = total + step.mode.to[i] * part
        return total

    behind = tuple(node(i, pressures) for i in range(2, len(steps)))
    return Response(node(0, pressures), node(1, pressures), node(0, integrals), node(1, integrals), behind)


def _follow(step: _Step, start: tuple[float, ...], s1: FloatArray, s2: FloatArray) -> tuple[FloatArray, FloatArray]:
    mode = step.mode
    force = mode.to[0] * s1 + mode.to[1] * s2
    y = recurrence(step.kept, step.once * force, _dot(mode.of, start))
    return y, step.once * y[:-1] + step.twice * force


def part_of_interval(network: Network, pressures: Sequence[float], s1: float, s2: float, dt_s: float) -> Moment:
    """Step the network for less than an interval, from the pressures of all its nodes."""
    ends, integrals = [0.0] * len(pressures), [0.0, 0.0]
    for mode in _modes(network):
        step = _step(mode, dt_s)
        force = mode.to[0] * s1 + mode.to[1] * s2
        begin = _dot(mode.of, pressures)
        end, integral = step.kept * begin + step.once * force, step.once * begin + step.twice * force
        ends = [value + share * end for value, share in zip(ends, mode.to, strict=True)]
        integrals = [value + share * integral for value, share in zip(integrals, mode.to, strict=False)]
    return Moment(tuple(ends), *integrals)


def crossing_s(
    network: Network, pressures: Sequence[float], s1: float, s2: float, level_kpa: float, dt_s: float
) -> float:
    """When node 1 crosses a level that lies between its pressures at the start and at the end of ``dt_s``."""
    low, high = 0.0, dt_s
    begins_below = pressures[0] < level_kpa
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if (part_of_interval(network, pressures, s1, s2, middle).pressures[0] < level_kpa) == begins_below:
            low = middle
        else:
            high = middle
    return high


# ---------------------------------------------------------------------------------------------------------- modes


@lru_cache(maxsize=256)
def _steps(network: Network) -> tuple[_Step, ...]:
    return tuple(_step(mode, DT_S) for mode in _modes(network))


def _step(mode: _Mode, dt_s: float) -> _Step:
    z = mode.rate * dt_s
    return _Step(mode, math.exp(z), dt_s * _phi1(z), dt_s * dt_s * _phi2(z))


@lru_cache(maxsize=256)
def _modes(network: Network) -> tuple[_Mode, ...]:
    if network.creep1 and network.creep2:
        return _creeping_modes(network)
    root1, root2 = math.sqrt(network.c1), math.sqrt(network.c2)
    a11 = -(network.g1 + network.g12) / network.c1
    a22 = -(network.g2 + network.g12) / network.c2
    a12 = network.g12 / (root1 * root2)
    fast = (a11 + a22) / 2.0 - math.hypot((a11 - a22) / 2.0, a12)
    # The determinant has no cancellation, so that a closed line has a slow rate of exactly zero.
    determinant = network.g1 * network.g2 + network.g12 * (network.g1 + network.g2)
    slow = determinant / (network.c1 * network.c2) / fast if fast else 0.0
    angle = 0.5 * math.atan2(2.0 * a12, a11 - a22)
    cos, sin = math.cos(angle), math.sin(angle)
    return (
        _Mode(slow, (cos / root1, sin / root2), (cos * root1, sin * root2)),
        _Mode(fast, (-sin / root1, cos / root2), (-sin * root1, cos * root2)),
    )


def _creeping_modes(network: Network) -> tuple[_Mode, ...]:
    """Modes of the four nodes by Jacobi's rotations, the slowest rate by the determinant as above."""
    k1, k2 = network.creep1 / network.creep_s, network.creep2 / network.creep_s
    roots = [math.sqrt(c) for c in (network.c1, network.c2, network.creep1, network.creep2)]
    conductance = [
        [network.g1 + network.g12 + k1, -network.g12, -k1, 0.0],
        [-network.g12, network.g2 + network.g12 + k2, 0.0, -k2],
        [-k1, 0.0, k1, 0.0],
        [0.0, -k2, 0.0, k2],
    ]
    symmetric = [[-g / (roots[i] * roots[j]) for j, g in enumerate(row)] for i, row in enumerate(conductance)]
    rates, vectors = _eigen(symmetric)
    order = sorted(range(4), key=lambda m: -rates[m])
    # A creeping node passes on all that it takes, so the determinant is that of the two nodes times what leads to it.
    determinant = (network.g1 * network.g2 + network.g12 * (network.g1 + network.g2)) * k1 * k2
    for root in roots:
        determinant /= root * root
    rates[order[0]] = -abs(determinant / math.prod(rates[m] for m in order[1:]))
    return tuple(
        _Mode(
            rates[m],
            tuple(vectors[i][m] / roots[i] for i in range(4)),
            tuple(vectors[i][m] * roots[i] for i in range(4)),
        )
        for m in order
    )


def _eigen(matrix: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Eigenvalues and, in columns, eigenvectors of a small symmetric matrix by cyclic Jacobi rotations.

    Not by LAPACK, whose last bits differ between builds.  After Golub and Van Loan, Matrix Computations, 8.5.
    """
    n = len(matrix)
    a = [row[:] for row in matrix]
    v = [[float(i == j) for j in range(n)] for i in range(n)]
    for _ in range(50):
        if sum(abs(a[i][j]) for i in range(n) for j in range(i)) == 0.0:
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                _rotate(a, v, p, q)
    return [a[i][i] for i in range(n)], v


def _rotate(a: list[list[float]], v: list[list[float]], p: int, q: int) -> None:
    """One rotation that makes a[p][q] zero."""
    if a[p][q] == 0.0:
        return
    theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q])
    t = math.copysign(1.0, theta) / (abs(theta) + math.hypot(theta, 1.0))
    c = 1.0 / math.hypot(t, 1.0)
    s = t * c
    for row in a:
        row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]
    a[p], a[q] = (
        [c * x - s * y for x, y in zip(a[p], a[q], strict=True)],
        [s * x + c * y for x, y in zip(a[p], a[q], strict=True)],
    )
    a[p][q] = a[q][p] = 0.0
    for row in v:
        row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]


def _dot(shares: Sequence[float], pressures: Sequence[float]) -> float:
    total = shares[0] * pressures[0]
    for share, pressure in zip(shares[1:], pressures[1:], strict=True):
        total += share * pressure
    return total


def _phi1(z: float) -> float:
    """(e^z - 1) / z."""
    return math.expm1(z) / z if z else 1.0


def _phi2(z: float) -> float:
    """(e^z - 1 - z) / z²; by its series where the closed form would cancel."""
    if abs(z) > 1.0:
        return (math.expm1(z) - z) / (z * z)
    total, term = 0.0, 0.5
    for n in range(3, 24):
        total += term
        term *= z / n
    return total
