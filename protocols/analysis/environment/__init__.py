"""Delivery under back pressure, at other temperatures and fillings, against a reference condition."""
