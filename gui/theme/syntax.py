"""Colours of a TOML text, of those that are in the theme already: no new ones, and each readable on a field."""

from __future__ import annotations

from gui.presenters.toml_lines import Piece
from gui.theme.tokens import Scheme

MONOSPACE = ("DejaVu Sans Mono", "Consolas", "Menlo", "monospace")


def syntax_colour(scheme: Scheme, piece: Piece) -> str:
    """Colour of a piece of a text."""
    return {
        Piece.TABLE: scheme.accent_line,
        Piece.KEY: scheme.text,
        Piece.TEXT: scheme.curves[2].colour,
        Piece.VALUE: scheme.curves[1].colour,
        Piece.COMMENT: scheme.muted,
    }[piece]


def is_strong(piece: Piece) -> bool:
    """Whether it is written in bold letters."""
    return piece is Piece.TABLE
