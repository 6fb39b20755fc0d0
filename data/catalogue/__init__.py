"""The catalogue of runs: an index over run files for finding them, never the record; it can be made again any time.

`entry` reads what the index keeps of a file, `apart` does that in a process that a damaged file may crash, `tables`
says what is kept, `store` puts it into a database and finds it again.
"""
