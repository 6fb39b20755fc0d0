"""The propar protocol as an instrument speaks it: its two frames and what is in them."""
