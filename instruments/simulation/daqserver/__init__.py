"""A simulated NI gRPC device server: the real ``nidaqmx`` package talks to it as it talks to NI's own.

Physics gives electrical quantities at the terminals (V, A, V/V, ohm); range, resolution, sample clock, DAQmx scaling,
task states, reservations and errors are made here.  `server.DaqServer` is the front door; `messages` is the one module
that touches nidaqmx's private message classes.
"""
