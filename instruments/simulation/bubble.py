"""An air bubble in the line: a fixed amount of gas, which takes up V = nRT/p at the absolute pressure around it.

The line is solved as a linear network (`network`), in which a bubble is a compliance.  Its own falls with the square of
the pressure, so the network takes a new one each time the absolute pressure has changed by `STEP`.  The volume that the
network gave it meanwhile is its book value; what that is off from V is put right by a step of the pressure, so that
nothing is ever lost or made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from instruments.simulation.properties import ZERO_CELSIUS_K

STEP = 0.01
"""Share by which the absolute pressure may move before the network changes: 2 % of the compliance."""

COMPLIANCE_STEP = 0.002
"""Share by which compliances that the network may have differ."""


@dataclass(frozen=True, slots=True)
class Bubble:
    """A bubble; none where ``nominal_ul`` is 0.

    Attributes
    ----------
    nominal_ul : its volume at ambient pressure when it entered, and so the length of line that it fills.
    from_ul : what had passed the line then.
    gas : amount, as pressure times volume over absolute temperature, in kPa µL/K.
    book_ul : volume that it has by what flowed since.
    """

    nominal_ul: float = 0.0
    from_ul: float = 0.0
    gas: float = 0.0
    book_ul: float = 0.0

    def ul(self, absolute_kpa: float, temperature_degc: float) -> float:
        """Volume under a pressure."""
        return self.gas * (temperature_degc + ZERO_CELSIUS_K) / absolute_kpa

    def compliance(self, absolute_kpa: float) -> float:
        """Volume over absolute pressure in µL/kPa, rounded, so that few networks have to be solved anew.

        Not even a wrong one would lose volume: what it makes of the bubble goes to its book.
        """
        return math.exp(COMPLIANCE_STEP * round(math.log(self.book_ul / absolute_kpa) / COMPLIANCE_STEP))

    def settled(self, gauge_kpa: float, ambient_kpa: float, temperature_degc: float, stiff: float) -> float:
        """Gauge pressure at which it and a compliance beside it hold the volume that the books say they hold.

        Parameters
        ----------
        gauge_kpa : pressure by the books; ``stiff`` the compliance beside it in µL/kPa.

        Notes
        -----
        stiff·p - nRT/p = stiff·p_book - V_book, the positive root, written so that nothing cancels.
        """
        energy = self.gas * (temperature_degc + ZERO_CELSIUS_K)
        b = stiff * (ambient_kpa + gauge_kpa) - self.book_ul
        root = math.hypot(b, 2.0 * math.sqrt(stiff * energy))
        absolute = (b + root) / (2.0 * stiff) if b > 0.0 else 2.0 * energy / (root - b)
        return absolute - ambient_kpa

    def booked(self, volume_ul: float) -> Bubble:
        """The same with another book value."""
        return replace(self, book_ul=volume_ul)


NO_BUBBLE = Bubble()


def entering(
    nominal_ul: float, from_ul: float, gauge_kpa: float, ambient_kpa: float, temperature_degc: float
) -> Bubble:
    """A bubble of so much at ambient pressure that appears in a line under pressure."""
    gas = nominal_ul * ambient_kpa / (temperature_degc + ZERO_CELSIUS_K)
    bubble = Bubble(nominal_ul, from_ul, gas)
    return bubble.booked(bubble.ul(ambient_kpa + gauge_kpa, temperature_degc))
