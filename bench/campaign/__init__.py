"""Campaigns: which pump is run at which rate how often and in which order, how far that is, and what it says."""
