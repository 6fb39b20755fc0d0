"""Pure analysis of recorded data: one formula, its source, its shapes, no state."""
