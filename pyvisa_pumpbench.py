"""Where pyvisa finds the simulated benches: ``pyvisa.ResourceManager("sim-full@pumpbench")``; see docs/howto."""

from bench.visa_backend import WRAPPER_CLASS, daq_target

__all__ = ["WRAPPER_CLASS", "daq_target"]
