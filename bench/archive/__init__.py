"""An archive of run files, judged again with today's code: what would change, and why."""
