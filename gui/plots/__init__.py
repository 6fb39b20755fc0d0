"""Plots: the min/max pyramid behind each curve, curves against time with limits and cursor, and the matrix picture."""
