"""Test protocols: what to do, step by step, and how to judge the run file.  One file a protocol, found by name."""
