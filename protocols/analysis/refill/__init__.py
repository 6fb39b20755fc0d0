"""Analyses of a refill: needle, ledger of volumes, records, and the hours after it."""
