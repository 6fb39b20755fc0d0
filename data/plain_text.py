"""Text that a person reads as it is: without line feeds, controls, and signs that turn the writing round."""

from __future__ import annotations


def escaped(text: str) -> str:
    r"""The text with an escape for each character that nobody would see, such as ``\n`` for a line feed."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def insist_visible(what: str, text: str) -> None:
    """See that a text names the same to everybody who reads it; raises ValueError."""
    if not text.isprintable():
        raise ValueError(f'{what} "{escaped(text)}": what stands behind \\ is a sign that nobody sees; leave it out')
