"""What the simulated syringe pumps have in common: an address, and a motor that tells the plunger when it will stop."""

from __future__ import annotations

import math

from instruments.simulation.signal import Actuator, Signal
from instruments.simulation.wire import ByteDevice

CHECKS_PER_S = 10
"""How often a pump looks at the force on its plunger."""


class SyringePump(ByteDevice):
    """A pump that moves ``plunger``.

    Parameters
    ----------
    plunger : takes the flow in µL/h, positive when infusing, negative when withdrawing.  The end of a motion is written
        ahead; when the pump is stopped before it, the flow that holds is written for that moment again.
    pressure : gauge pressure in the syringe in kPa; without one the pump never stalls.
    force_limit_n : force on the plunger at which the motor stalls.
    address : in a chain of pumps, 0 to 99.
    """

    _motion: object | None = None

    def __init__(self, plunger: Actuator, pressure: Signal | None, force_limit_n: float, address: int) -> None:
        super().__init__()
        if not 0 <= address <= 99:
            raise ValueError(f"address {address} of a syringe pump: it is from 0 to 99")
        self.plunger, self.pressure, self.force_limit_n, self.address = plunger, pressure, force_limit_n, address
        self._ahead: set[float] = set()  # moments at which a stop was announced to the plunger

    @property
    def stands(self) -> bool:
        """Whether the motor is still."""
        return self._motion is None

    def _drive(self, flow_ul_per_h: float, t: float, until_s: float) -> None:
        """Command the plunger, and its stop when that is known already; stops that will not happen are undone."""
        self.plunger.write(flow_ul_per_h, t)
        self._ahead = {moment for moment in self._ahead if moment > t}
        for moment in sorted(self._ahead):
            self.plunger.write(flow_ul_per_h if moment < until_s else 0.0, moment)
        if until_s < math.inf:
            self.plunger.write(0.0, until_s)
            self._ahead.add(until_s)
