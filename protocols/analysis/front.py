"""The front of a new fluid in a catheter: how far it is smeared when it arrives at the tip.

Flow in a tube is faster in the middle than at the wall, and diffusion across the tube evens that out.  When the fluid
stays in the tube for longer than diffusion takes across it, the front is a normal curve around the plug's front (Taylor
1953, Aris 1956); when it stays for less, the middle arrives at half of the tube's volume.
"""

from __future__ import annotations

import math

DIFFUSION_MM2_PER_S = 5e-4
"""Of a drug of some hundred g/mol in water near body temperature: 5e-10 m2/s, assumed."""

TAIL_SIGMAS = 1.6448536269514722
"""From the plug's front to 5 % and 95 % of the new concentration."""

MIXED = 0.5
"""Taylor's curve holds from so many diffusion times across the bore on."""


def dispersion_mm2_per_s(bore_mm: float, speed_mm_per_s: float, diffusion: float = DIFFUSION_MM2_PER_S) -> float:
    """Effective diffusion along a tube: D (1 + Pe^2/48) with Pe = a u/D (Aris, Proc. R. Soc. A 235 (1956) 67)."""
    peclet = bore_mm / 2.0 * speed_mm_per_s / diffusion
    return diffusion * (1.0 + peclet**2 / 48.0)


def tail_share(bore_mm: float, length_mm: float, flow_ul_per_h: float, diffusion: float = DIFFUSION_MM2_PER_S) -> float:
    """Volume beyond the tube's own, over it, after which the tip has 95 % of the new concentration.

    Notes
    -----
    Taylor: 1.645 sqrt(2 K t)/L, t being the time in the tube.  Without diffusion the mean concentration that leaves is
    1 - (V_tube/2V)^2, which reaches 95 % at V = 2.236 V_tube; the larger share of the two regimes never exceeds that.
    """
    area = math.pi / 4.0 * bore_mm**2
    speed = flow_ul_per_h / 3600.0 / area
    seconds = length_mm / speed
    convective = 1.0 / (2.0 * math.sqrt(0.05)) - 1.0
    if seconds * diffusion / (bore_mm / 2.0) ** 2 < MIXED:
        return convective
    spread = math.sqrt(2.0 * dispersion_mm2_per_s(bore_mm, speed, diffusion) * seconds)
    return min(TAIL_SIGMAS * spread / length_mm, convective)
