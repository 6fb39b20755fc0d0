"""Simulated instruments, one file a family: they speak their wire protocol and see the plant through signals."""
