"""One file a driver, found by name: driver ``keller-x`` is ``keller_x.py``."""
