"""Two pressure nodes in a row, stepped exactly.

Node 1 is the pump's outlet with the proximal half of the catheter, node 2 its distal half:

    C1 dP1/dt = s1 - g1·P1 - g12·(P1 - P2)
    C2 dP2/dt = s2 - g2·P2 + g12·(P1 - P2)

with the sources s1 and s2 constant in each interval.  In the coordinates √C·P the system is symmetric, so it has two
real modes; each is a recurrence, and its time integral is as exact as the pressure itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from instruments.simulation.grid import DT_S
from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import recurrence


@dataclass(frozen=True, slots=True)
class Network:
    """Compliances in µL/kPa; conductances in µL/(s kPa) to fixed pressures at nodes 1 and 2, and between them."""

    c1: float
    c2: float
    g1: float
    g12: float
    g2: float


@dataclass(frozen=True, slots=True)
class Response:
    """Pressures in kPa at the n + 1 grid points, and their integrals over each of the n intervals in kPa·s."""

    p1: FloatArray
    p2: FloatArray
    integral1: FloatArray
    integral2: FloatArray


@dataclass(frozen=True, slots=True)
class _Mode:
    """One mode in one interval: y' = kept·y + once·f, and the integral of y is once·y + twice·f."""

    kept: float
    once: float
    twice: float
    to1: float  # share of the mode in P1 and P2
    to2: float
    from1: float  # share of the initial pressures in the mode
    from2: float


def respond(network: Network, p1: float, p2: float, s1: FloatArray, s2: FloatArray) -> Response:
    """Step the network from the pressures ``p1``, ``p2`` under sources of shape (n,) in µL/s."""
    first, second = _modes(network)
    y, y_integral = _follow(first, p1, p2, s1, s2)
    z, z_integral = _follow(second, p1, p2, s1, s2)
    return Response(
        first.to1 * y + second.to1 * z,
        first.to2 * y + second.to2 * z,
        first.to1 * y_integral + second.to1 * z_integral,
        first.to2 * y_integral + second.to2 * z_integral,
    )


def _follow(mode: _Mode, p1: float, p2: float, s1: FloatArray, s2: FloatArray) -> tuple[FloatArray, FloatArray]:
    force = mode.to1 * s1 + mode.to2 * s2
    y = recurrence(mode.kept, mode.once * force, mode.from1 * p1 + mode.from2 * p2)
    return y, mode.once * y[:-1] + mode.twice * force


@lru_cache(maxsize=256)
def _modes(network: Network) -> tuple[_Mode, _Mode]:
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
        _mode(slow, cos / root1, sin / root2, cos * root1, sin * root2),
        _mode(fast, -sin / root1, cos / root2, -sin * root1, cos * root2),
    )


def _mode(rate: float, to1: float, to2: float, from1: float, from2: float) -> _Mode:
    z = rate * DT_S
    return _Mode(math.exp(z), DT_S * _phi1(z), DT_S * DT_S * _phi2(z), to1, to2, from1, from2)


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
