"""Driver ``ni-digital``: digital inputs on National Instruments hardware; see `instruments.daq_digital`."""

from __future__ import annotations

from instruments.daq_digital import NiDigital

DRIVER = NiDigital
