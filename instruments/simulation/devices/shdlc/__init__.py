"""Frames of Sensirion's serial protocol and the cable's ring of samples."""
