"""Where the keys of a TOML text stand, and of what kind its pieces are; also of a text that is not whole yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

Key = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(?P<open>\[\[?)\s*(?P<key>[^\[\]#]+?)\s*\]\]?")
_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_ENTRY = re.compile(rf"^\s*(?P<key>{_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_PART = re.compile(r"""\s*(?:"(?P<quoted>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^.\s"']+))\s*(?:\.|$)""")


class Piece(StrEnum):
    """A kind of piece of a TOML text."""

    TABLE = "table"
    KEY = "key"
    TEXT = "text"
    VALUE = "value"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Marked:
    """A piece of a line: its kind, its first character and its length."""

    piece: Piece
    begin: int
    length: int


_PIECES = re.compile(
    r"(?P<comment>\#.*$)"
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"?|'[^']*'?)"
    r"|(?P<value>\b(?:true|false)\b|(?<![\w.-])[+-]?\d[\w.:+-]*)"
)


def pieces(line: str) -> Iterator[Marked]:
    """The pieces of one line that are to be told apart; texts over several lines are not."""
    begin = 0
    header, entry = _HEADER.match(line), _ENTRY.match(line)
    if header is not None:
        begin = header.end()
        yield Marked(Piece.TABLE, header.start("open"), header.end() - header.start("open"))
    elif entry is not None:
        begin = entry.end()
        yield Marked(Piece.KEY, entry.start("key"), entry.end("key") - entry.start("key"))
    for found in _PIECES.finditer(line, begin):
        yield Marked(Piece(str(found.lastgroup)), found.start(), found.end() - found.start())


def parts(dotted: str) -> Key:
    """The parts of a dotted key; a whole number is the place in a list."""
    found: list[str | int] = []
    for match in _PART.finditer(dotted):
        bare = match["bare"]
        quoted = match["quoted"] if match["quoted"] is not None else match["single"]
        found.append(int(bare) if bare is not None and bare.isdecimal() else bare if bare is not None else quoted)
    return tuple(found)


def keys(text: str) -> Iterator[tuple[int, Key]]:
    """Line and whole key of every table and entry; a list of tables has the place in its key."""
    table: Key = ()
    counts: dict[Key, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None:
            named = _placed(parts(header["key"]), counts)
            if header["open"] == "[[":
                counts[named] = counts.get(named, -1) + 1
                named = (*named, counts[named])
            table = named
            yield number, table
        elif (entry := _ENTRY.match(line)) is not None:
            yield number, (*table, *parts(entry["key"]))


def line_of(text: str, key: Key) -> int | None:
    """Line of a key, or of the nearest table around it, or of the first below it; None where the text has none."""
    best, depth, below = None, 0, None
    for number, found in keys(text):
        if len(found) > depth and found == key[: len(found)]:
            best, depth = number, len(found)
        elif below is None and found[: len(key)] == key:
            below = number
    return best or below


def _placed(key: Key, counts: dict[Key, int]) -> Key:
    """A table below a list of tables belongs to the last of them."""
    made: Key = ()
    for part in key[:-1]:
        made = (*made, part)
        if made in counts:
            made = (*made, counts[made])
    return (*made, *key[-1:])
