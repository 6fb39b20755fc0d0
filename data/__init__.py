"""The words everybody uses, and the record: quantities, samples, schedules, checks, journal, run files."""
