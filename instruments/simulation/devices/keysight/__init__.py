"""What Keysight's multimeter and its data acquisition unit have in common: SCPI, and a converter."""
