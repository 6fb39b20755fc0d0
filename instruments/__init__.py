"""Instruments on real wires (VISA, NI-DAQmx), the clock they run on, and the simulated rig behind the same wires."""
