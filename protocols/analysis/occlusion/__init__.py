"""What a closed line does: how the pressure rises behind it, and what comes out when it opens again.

Units: kPa, uL, s, uL/s.
"""

from protocols.analysis.grid import RecordError

__all__ = ["RecordError"]
