"""What the certificate of a syringe pump says of what it pushes: true volume = gain * (count + offset).

The pump's own count and the rate that it is asked for are both indications; of a rate, and of the difference of two
counts, the gain alone is left.
"""

from __future__ import annotations

from data.run import Run
from protocols.analysis.assumed import SYRINGE_U_PERCENT


def syringe_gain(run: Run, role: str) -> float:
    """What the syringe pump of a role pushes over what it is asked for, and over what it counts; 1 if nothing is said.

    What it draws back goes by the same bore, and with the same gain.
    """
    return float(run.calibration(_infused(run, role)).get("gain", 1.0))


def syringe_u_percent(run: Run, role: str) -> float:
    """Relative standard uncertainty of that."""
    return float(run.calibration(_infused(run, role)).get("u_percent") or SYRINGE_U_PERCENT)


def _infused(run: Run, role: str) -> str:
    return f"{run.roles[role].partition('.')[0]}.infused"
