"""Driver ``ni-daqmx``: analog inputs and valves on National Instruments hardware; see `instruments.daq`."""

from __future__ import annotations

from instruments.daq import NiDaqmx

DRIVER = NiDaqmx
