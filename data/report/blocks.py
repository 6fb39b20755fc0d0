"""What a report consists of: sections of blocks, as plain data that the PDF and the HTML are both set from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "good", "bad", "warn", "muted"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of one cell where plain text does not do."""

    text: str
    tone: Tone = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """Labels and what they stand for; long lists may stand ``side_by_side``."""

    rows: Sequence[tuple[str, str]]
    side_by_side: bool = False
    kind: Literal["pairs"] = "pairs"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings.

    Attributes
    ----------
    widths : of each column: 0 as its contents need, else its share of what is left.
    right : numbers of the columns that are set to the right.
    caption : what the table shows, above it; empty where the section's title says so.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    widths: Sequence[int]
    right: Sequence[int] = ()
    caption: str = ""
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, or the heading of what follows it."""

    text: str
    tone: Tone | Literal["heading"] = ""
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing by its number among the report's drawings; ``alt`` says in words what it shows."""

    number: int
    caption: str
    alt: str
    kind: Literal["plot"] = "plot"


@dataclass(frozen=True, slots=True)
class Signing:
    """Places for signatures on paper."""

    meanings: Sequence[str]
    kind: Literal["signing"] = "signing"


Block = Pairs | Table | Text | Plot | Signing


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Report:
    """A report before it is set.

    Attributes
    ----------
    moment : start of the run as (year, month, day, hour, minute, second) in UTC; the date of the document.
    document : what the document is called; ``subject`` says what it is about.
    banner : what stands across every page of a run that was not measured, or whose file is not intact.
    verdict, tone : the verdict in words, and how it looks.
    footer : lines at the foot of every page.
    data_name, data_says : the file of data that the PDF carries, and what is in it.
    """

    title: str
    subject: str
    moment: tuple[int, int, int, int, int, int]
    run_id: str
    digest: str
    banner: str
    verdict: str
    tone: Tone
    verdict_lines: Sequence[str]
    footer: Sequence[str]
    sections: Sequence[Section]
    program: str
    document: str
    data_name: str = "run.json"
    data_says: str = "The run as data: checks, curves, set-up and events at full precision"
