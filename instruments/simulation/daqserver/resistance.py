"""Platinum resistance thermometers, for the simulated device: Callendar-Van Dusen and its inverse.

R(t) = R0 (1 + A t + B t^2 + C (t - 100) t^3), the last term below 0 degC only.  A, B, C of type 3851 are IEC 60751's;
those of the other types are the ones that NI lists for DAQmx.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import RTDType

FloatArray = npt.NDArray[np.float64]

COEFFICIENTS: dict[int, tuple[float, float, float]] = {
    RTDType.PT_3750.value: (3.81e-3, -6.02e-7, -6.0e-12),
    RTDType.PT_3851.value: (3.9083e-3, -5.775e-7, -4.183e-12),
    RTDType.PT_3911.value: (3.9692e-3, -5.8495e-7, -4.233e-12),
    RTDType.PT_3916.value: (3.9739e-3, -5.870e-7, -4.4e-12),
    RTDType.PT_3920.value: (3.9787e-3, -5.8686e-7, -4.167e-12),
    RTDType.PT_3928.value: (3.9888e-3, -5.915e-7, -3.85e-12),
}


def resistance_ohm(degc: FloatArray | float, r0_ohm: float, abc: tuple[float, float, float]) -> FloatArray:
    """Resistance at a temperature."""
    a, b, c = abc
    t = np.asarray(degc, dtype=np.float64)
    below = np.where(t < 0.0, c * (t - 100.0) * t**3, 0.0)
    return np.asarray(r0_ohm * (1.0 + a * t + b * t * t + below))


def temperature_degc(ohm: FloatArray | float, r0_ohm: float, abc: tuple[float, float, float]) -> FloatArray:
    """Temperature at a resistance; exact above 0 degC, by Newton's method below, where the equation is quartic."""
    a, b, c = abc
    ratio = np.asarray(ohm, dtype=np.float64) / r0_ohm
    shape, ratio = ratio.shape, np.atleast_1d(ratio)
    # The parabola has its top far above any thermometer (3 kK); a broken wire may lie beyond it.
    t = (-a + np.sqrt(np.maximum(a * a - 4.0 * b * (1.0 - ratio), 0.0))) / (2.0 * b)
    cold = ratio < 1.0
    if cold.any():
        guess, target = t[cold], ratio[cold]
        for _ in range(5):
            value = 1.0 + a * guess + b * guess**2 + c * (guess - 100.0) * guess**3
            slope = a + 2.0 * b * guess + c * (4.0 * guess - 300.0) * guess**2
            guess = guess - (value - target) / slope
        t[cold] = guess
    return t.reshape(shape)
