"""The known name that somebody who wrote another one meant."""

from collections.abc import Iterable

LIKENESS = 0.6
"""Least ratio of agreeing letters, difflib's own default: "flwo" is like "flow", "weight" is not."""


def nearest(given: str, known: Iterable[str], likeness: float = LIKENESS) -> str | None:
    """Of the known names the one most like the given one; None where none is like it."""
    import difflib  # here: most names are right, and a start of the program is short of milliseconds

    return next(iter(difflib.get_close_matches(given, list(known), 1, likeness)), None)


def did_you_mean(given: str, known: Iterable[str], otherwise: str) -> str:
    """The remedy for an unknown name: a question with the nearest known one, or what to say where none is near."""
    near = nearest(given, known)
    return otherwise if near is None else f'did you mean "{near}"?'
