"""Colours, sizes and line styles by what they mean; every other room asks for a meaning, never for a colour.

Grey is normal.  Colour is for what is not, and never alone: a tone has a word and an icon beside it.  Curves are in the
colours of Okabe and Ito (2008), which the colour-blind can tell apart, of those that stand out from the background, and
differ in their dashes too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gui.presenters.tone import Tone

Dash = Literal["solid", "dash", "dot", "dash-dot"]
SchemeName = Literal["light", "dark"]
DensityName = Literal["desk", "touch"]


@dataclass(frozen=True, slots=True)
class Pen:
    """How a curve is drawn."""

    colour: str
    dash: Dash = "solid"


@dataclass(frozen=True, slots=True)
class Fill:
    """A text and what lies under it."""

    text: str
    under: str


@dataclass(frozen=True, slots=True)
class Scheme:
    """The colours of the window.

    Attributes
    ----------
    window, panel, sunken : backgrounds: of the window, of a panel, of a field or a table in it.
    line, grid : of panels and fields; of a plot.
    handle : of scroll bars.
    text, muted : letters on any of those.
    header : letters and background of the bar on top; ``header_muted`` for its small print.
    accent : what has the focus, is selected or is to be pressed next.
    stop : the stop button.
    tones : each tone as text on its fill.
    schedule : the pen of what is expected.
    limit : the pen of a limit.
    curves : pens of what is measured, in the order in which they are taken.
    band : translucent fill of an uncertainty or an excluded stretch.
    """

    name: SchemeName
    window: str
    panel: str
    sunken: str
    striped: str
    line: str
    grid: str
    handle: str
    text: str
    muted: str
    header: Fill
    header_muted: str
    accent: Fill
    accent_line: str
    stop: Fill
    stop_pressed: str
    tones: dict[Tone, Fill]
    schedule: Pen
    limit: Pen
    curves: tuple[Pen, ...]
    band: str

    def tone(self, tone: Tone) -> Fill:
        """Text and fill of a tone."""
        return self.tones[tone]


@dataclass(frozen=True, slots=True)
class Density:
    """Sizes in logical pixels.

    Attributes
    ----------
    rail : least height of a page's button.
    scroll : width of a scroll bar; a finger in a glove has nothing else to scroll by.
    """

    name: DensityName
    font: int
    small: int
    large: int
    control: int
    row: int
    gap: int
    icon: int
    rail: int
    scroll: int


DESK = Density("desk", font=13, small=11, large=20, control=30, row=26, gap=8, icon=16, rail=48, scroll=10)
TOUCH = Density("touch", font=15, small=13, large=24, control=46, row=44, gap=12, icon=22, rail=58, scroll=26)
DENSITIES = {"desk": DESK, "touch": TOUCH}

LIGHT = Scheme(
    "light",
    window="#E6E8EA",
    panel="#F4F5F6",
    sunken="#FFFFFF",
    striped="#F1F3F5",
    line="#C3C9CE",
    grid="#E3E6E9",
    handle="#78838D",
    text="#16202A",
    muted="#56626D",
    header=Fill("#F4F6F8", "#2B3640"),
    header_muted="#B4C0CA",
    accent=Fill("#0B3B66", "#D6E6F5"),
    accent_line="#1F5E96",
    stop=Fill("#FFFFFF", "#B3261E"),
    stop_pressed="#7E1A14",
    tones={
        Tone.PLAIN: Fill("#16202A", "transparent"),
        Tone.MUTED: Fill("#56626D", "transparent"),
        Tone.GOOD: Fill("#16202A", "transparent"),
        Tone.BUSY: Fill("#0B3B66", "#D6E6F5"),
        Tone.WARN: Fill("#6B4300", "#FFE3AE"),
        Tone.FAIL: Fill("#A3171F", "#F9D9D8"),
    },
    schedule=Pen("#16202A", "dash"),
    limit=Pen("#A3171F", "dash"),
    curves=(
        Pen("#0072B2"),
        Pen("#C24E00"),
        Pen("#00815C"),
        Pen("#A8527F"),
        Pen("#16202A", "dot"),
        Pen("#0072B2", "dash-dot"),
        Pen("#C24E00", "dot"),
        Pen("#00815C", "dash-dot"),
        Pen("#A8527F", "dash"),
    ),
    band="#5B6B7A33",
)

DARK = Scheme(
    "dark",
    window="#14191E",
    panel="#1D242B",
    sunken="#161C22",
    striped="#1A2128",
    line="#3A4550",
    grid="#2A333C",
    handle="#6B7885",
    text="#DDE4EA",
    muted="#98A6B3",
    header=Fill("#EDF2F6", "#0C1013"),
    header_muted="#98A6B3",
    accent=Fill("#CFE5FA", "#1F3E5C"),
    accent_line="#6FB1E8",
    stop=Fill("#FFFFFF", "#B3261E"),
    stop_pressed="#E0453B",
    tones={
        Tone.PLAIN: Fill("#DDE4EA", "transparent"),
        Tone.MUTED: Fill("#98A6B3", "transparent"),
        Tone.GOOD: Fill("#DDE4EA", "transparent"),
        Tone.BUSY: Fill("#CFE5FA", "#1F3E5C"),
        Tone.WARN: Fill("#FFD27A", "#463511"),
        Tone.FAIL: Fill("#FFB4AE", "#521C1B"),
    },
    schedule=Pen("#DDE4EA", "dash"),
    limit=Pen("#FF8A80", "dash"),
    curves=(
        Pen("#56B4E9"),
        Pen("#E69F00"),
        Pen("#1FBF8F"),
        Pen("#D98FB8"),
        Pen("#F0E442", "dot"),
        Pen("#56B4E9", "dash-dot"),
        Pen("#E69F00", "dot"),
        Pen("#1FBF8F", "dash-dot"),
        Pen("#D98FB8", "dash"),
    ),
    band="#9FB0C033",
)
SCHEMES = {"light": LIGHT, "dark": DARK}


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21, after WCAG 2.2."""
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255.0 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
