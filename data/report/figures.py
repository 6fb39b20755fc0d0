"""Drawings of a report as SVG: the evaluation's curves, and what the roles recorded.

Text stays text, in the font that the report brings.  Equal data give equal bytes: no date, no random ids, and no
setting of the computer's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unicodedata import category

import numpy as np

from data.checks import Axis, Curve, Evaluation
from data.hdf5 import CHUNK_ROWS
from data.overview import BIN, extents, pieces, stretch
from data.report import FONTS
from data.report.wording import drawable, number, unit_of
from data.run import Run
from data.samples import UNUSABLE, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 800
"""A recording is drawn by the smallest and the largest of each of so many stretches."""

MARKED = 40
"""Curves of at most so many points have their points marked."""

PANELS = ("mg", "uL/h", "kPa", "degC", "N")
"""Order of the recordings by their unit, from above."""

MOST_PANELS = 8
LONGEST_NAME = 40

INK, FAINT, BAND = "#1b2733", "#8a97a3", "#f1f4f7"
COLOURS = ("#0b63a5", "#c4551d", "#2e7d4f", "#7a4fa0", "#9a7b12", "#5d6b78")
PROGRAMMED = ("schedule", "programmed", "needed")
SPREAD = "expanded_uncertainty"
LOG_X = ("trumpet", "allan")
WIDTH, HALF = 6.9, 3.4
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG with what it shows in words; ``wide`` ones take the page's whole width."""

    svg: bytes
    caption: str
    alt: str
    wide: bool


def drawings(run: Run, evaluation: Evaluation | None) -> list[Drawing]:
    """All drawings of a report, in order."""
    curves = [curve for curve in (evaluation.curves if evaluation else ()) if len(curve.x.values)]
    with style():
        made = [_curve(curve) for curve in curves]
        recorded = _recordings(run)
    return [*made, *([recorded] if recorded else [])]


@contextmanager
def style() -> Iterator[None]:
    """Settings of a drawing, whatever the computer's own say."""
    import matplotlib
    from matplotlib import font_manager

    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(FONTS.glob("*.otf")):
        if str(path) not in known:
            font_manager.fontManager.addfont(str(path))
    settings: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "pumpbench",
        "font.family": ["Inter"],
        "font.size": 7.5,
        "axes.unicode_minus": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.6,
        "axes.titlesize": 8,
        "axes.formatter.useoffset": False,
        "axes.formatter.limits": (-5, 6),
        "axes.formatter.use_mathtext": False,
        "text.parse_math": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "lines.linewidth": 1.0,
        "lines.markersize": 2.5,
        "grid.color": "#e3e8ed",
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "legend.fontsize": 7,
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)  # type: ignore[arg-type]  # its stubs want each key as a literal
        yield


@cache
def signs() -> frozenset[int]:
    """Code points that all weights of the font can show; none of private use, whose meaning is nobody's."""
    from matplotlib.ft2font import FT2Font

    charmaps = [set(FT2Font(str(path)).get_charmap()) for path in sorted(FONTS.glob("*.otf"))]
    return frozenset(point for point in set.intersection(*charmaps) if not category(chr(point)).startswith("C"))


def _unit(unit: str) -> str:
    return _short(unit_of(unit), 16)


def _shown(name: str) -> str:
    return _short(name.replace("_", " "), LONGEST_NAME)


def _short(text: str, most: int) -> str:
    """A text that leaves room for what is drawn; the whole of it stands in the attached data."""
    known = drawable(text, signs()).replace("\n", " ")
    return known if len(known) <= most else f"{known[: most - 1]}…"


def _curve(curve: Curve) -> Drawing:
    wide = curve.x.name == "time" and (len(curve.y) > 1 or curve.x.unit == "h")
    figure = new_figure(WIDTH if wide else HALF, 1.9)
    axes = figure.add_subplot()
    spread = next((axis for axis in curve.y if axis.name == SPREAD), None)
    for at, axis in enumerate(axis for axis in curve.y if axis is not spread):
        _line(axes, curve, axis, spread, COLOURS[at % len(COLOURS)])
    if any(np.nanmin(axis.values, initial=0) < 0 < np.nanmax(axis.values, initial=0) for axis in curve.y):
        axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    if curve.name in LOG_X and np.all(curve.x.values > 0):
        _logarithmic(axes, curve.x.values)
    axes.set_xlabel(_axis_label(curve.x))
    units = {axis.unit for axis in curve.y}
    axes.set_ylabel(_unit(units.pop()) if len(units) == 1 else "")
    axes.grid(visible=True)
    if len(curve.y) - (spread is not None) > 1:
        legend = axes.legend(ncols=4, loc="lower right", bbox_to_anchor=(1, 0.99), borderaxespad=0, handlelength=1.6)
        axes.set_title(" ")  # its room
        legend.set_in_layout(False)  # long names must not squeeze the curve
    return Drawing(svg_of(figure), curve.title, _in_words(curve), wide)


def _line(axes: Axes, curve: Curve, axis: Axis, spread: Axis | None, colour: str) -> None:
    x, y = curve.x.values, axis.values
    if len(x) > 2 * COLUMNS:
        x, y = _thinned(x, y)
    name = _shown(axis.name)
    if axis.name in PROGRAMMED:
        dashes = (0, (4, 2)) if axis.name != PROGRAMMED[-1] else (0, (1, 1.5))
        axes.plot(x, y, color=INK, linewidth=0.8, linestyle=dashes, label=name)
    elif spread is not None:
        axes.errorbar(x, y, yerr=spread.values, fmt="o", color=colour, capsize=2, elinewidth=0.8, label=f"{name} ± U")
        if np.all(x == np.round(x)) and len(x) <= MARKED:
            axes.set_xticks(x, [number(float(one)) for one in x])
    else:
        axes.plot(x, y, color=colour, marker="o" if len(x) <= MARKED else "", label=name)


def _thinned(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The smallest and the largest of each stretch, in the order in which they were."""
    edges = np.linspace(0, len(x), COLUMNS + 1).astype(int)
    rows: list[int] = []
    for begin, end in pairwise(edges):
        part = y[begin:end]
        if np.isfinite(part).any():
            rows.extend(sorted({begin + int(np.nanargmin(part)), begin + int(np.nanargmax(part))}))
    return x[rows], y[rows]


def _logarithmic(axes: Axes, x: FloatArray) -> None:
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(x[:8], [number(float(one), 3) for one in x[:8]])


def _recordings(run: Run) -> Drawing | None:
    """What the roles recorded over the whole run, one panel a channel, with the phases behind."""
    there = extents(run)
    roles = {what: _shown(role) for role, what in sorted(run.roles.items()) if what in there}
    shown = sorted(roles, key=lambda what: (_place(run.channels[what].unit), roles[what]))[:MOST_PANELS]
    if not shown:
        return None
    figure = new_figure(WIDTH, 0.35 + 0.62 * len(shown))
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, shown, strict=True):
        for phase in run.phases[::2]:
            axes.axvspan(phase.t0 / HOUR_S, phase.t1 / HOUR_S, color=BAND, linewidth=0, zorder=-1)
        t, low, high = _decimated(run, name, there[name].rows)
        axes.fill_between(t / HOUR_S, low, high, color=COLOURS[0], alpha=0.35, linewidth=0)
        axes.plot(t / HOUR_S, (low + high) / 2, color=COLOURS[0], linewidth=0.7)
        axes.set_ylabel(_unit(run.channels[name].unit))
        axes.set_title(f"{roles[name]} ({_short(name, 60)})", loc="left", fontsize=7, pad=2)
        axes.set_xlim(0, max(run.end_s, 1.0) / HOUR_S)
    panels[-1].set_xlabel("time, h")
    figure.align_ylabels()
    caption = "As recorded: smallest to largest of each stretch, shaded; phases grey and white in turn"
    alt = f"Recordings over the whole run of {', '.join(roles[what] for what in shown)}."
    return Drawing(svg_of(figure), caption, alt, wide=True)


def _place(unit: str) -> int:
    return PANELS.index(unit) if unit in PANELS else len(PANELS)


def _decimated(run: Run, name: str, rows: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times, smallest and largest in about `COLUMNS` stretches, read piece by piece; NaN where nothing is good."""
    if rows <= COLUMNS * BIN:
        found = stretch(run, name, -np.inf, np.inf)
        values = np.where(found.quality & int(UNUSABLE), np.nan, found.values)
        t, low, high = found.t, values, values
    else:
        t, low, high = _binned(run, name, rows)
    keep = -(-len(t) // COLUMNS)
    edges = np.arange(0, len(t), keep)
    return t[edges], np.fmin.reduceat(low, edges), np.fmax.reduceat(high, edges)


def _binned(run: Run, name: str, rows: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The same in bins of `BIN` samples, of a recording too long to be held whole."""
    t, low, high = [], [], []
    for at in range(-(-rows // CHUNK_ROWS)):
        (piece,) = pieces(run, name, [at])
        keep = np.arange(0, len(piece.t), max(1, rows // (BIN * COLUMNS)))
        t.append(piece.t[keep])
        low.append(np.fmin.reduceat(piece.low, keep).astype(np.float64))
        high.append(np.fmax.reduceat(piece.high, keep).astype(np.float64))
    return np.concatenate(t), np.concatenate(low), np.concatenate(high)


def new_figure(width: float, height: float) -> Figure:
    """A figure that lays itself out; in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def svg_of(figure: Figure) -> bytes:
    """The same bytes for the same figure."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]  # not annotated
    return out.getvalue()


def _axis_label(axis: Axis) -> str:
    unit = _unit(axis.unit)
    name = _shown(axis.name)
    return f"{name}, {unit}" if unit else name


def _in_words(curve: Curve) -> str:
    """What a curve shows, for those who cannot see it."""
    parts = []
    for axis in curve.y:
        known = axis.values[np.isfinite(axis.values)]
        extent = f" from {number(float(known.min()), 4)} to {number(float(known.max()), 4)}" if len(known) else ""
        parts.append(f"{axis.name.replace('_', ' ')}{extent} {unit_of(axis.unit)}".rstrip())
    x = curve.x.values
    about = f"{number(float(x.min()), 4)} to {number(float(x.max()), 4)} {unit_of(curve.x.unit)}".rstrip()
    return f"{curve.title} against {curve.x.name.replace('_', ' ')}, {about}: {'; '.join(parts)}."
