"""How pumps lie about each other and within their limits: a point a pump, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.report.figures import COLOURS, FAINT, INK, WIDTH, Drawing, new_figure, style, svg_of
from data.report.wording import number, unit_of, with_unit

ASIDE = 0.3
"""The points of a column stand side by side over so much of its width to each side."""

MARGIN = 0.25
"""So much more than points and limits is drawn, of what they span."""


@dataclass(frozen=True, slots=True)
class Column:
    """The pumps of one rate.

    Attributes
    ----------
    values : one a pump.
    interval : of the pumps that there may be; None where it is not known.
    limits : below and above, None where there is none.
    """

    label: str
    values: Sequence[float]
    mean: float
    interval: tuple[float, float] | None
    limits: tuple[float | None, float | None]


def spread(title: str, unit: str, columns: Sequence[Column], interval: str) -> Drawing:
    """Draw them; ``interval`` says what the bars hold."""
    with style():
        figure = new_figure(WIDTH, 2.3)
        axes = figure.add_subplot()
        for at, column in enumerate(columns):
            many = len(column.values)
            places = [at + ASIDE * ((2 * k + 1) / many - 1) for k in range(many)]
            axes.plot(places, column.values, linestyle="", marker="o", color=COLOURS[0])
            axes.plot([at - ASIDE, at + ASIDE], [column.mean] * 2, color=INK)
            if column.interval is not None:
                low, high = column.interval
                axes.errorbar(
                    at, column.mean, yerr=[[column.mean - low], [high - column.mean]],
                    color=COLOURS[0], capsize=6, elinewidth=0.9, alpha=0.7,
                )  # fmt: skip
            for limit in column.limits:
                if limit is not None:
                    axes.plot([at - 0.5, at + 0.5], [limit] * 2, color=COLOURS[1], linestyle=(0, (4, 2)))
        axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
        axes.set_xticks(range(len(columns)), [column.label for column in columns])
        axes.set_xlim(-0.6, len(columns) - 0.4)
        axes.set_ylim(*_room(columns))
        axes.set_ylabel(unit_of(unit))
        axes.grid(visible=True, axis="y")
        drawn = svg_of(figure)
    caption = f"{title}: a point a pump, mean, {interval} (bars, cut off where they are too long), limits (dashed)"
    return Drawing(drawn, caption, _in_words(title, unit, columns, interval), wide=True)


def _room(columns: Sequence[Column]) -> tuple[float, float]:
    """What is drawn: points and limits; the interval of a few pumps would make everything else a line."""
    shown = [0.0, *(value for column in columns for value in column.values)]
    shown += [limit for column in columns for limit in column.limits if limit is not None]
    low, high = min(shown), max(shown)
    more = MARGIN * (high - low or 1.0)
    return low - more, high + more


def _in_words(title: str, unit: str, columns: Sequence[Column], interval: str) -> str:
    said = []
    for column in columns:
        bounds = "" if column.interval is None else f", {interval} {number(column.interval[0], 4)} to "
        bounds += "" if column.interval is None else number(column.interval[1], 4)
        mean = with_unit(number(column.mean, 4), unit)
        said.append(f"at {column.label} {len(column.values)} pumps with mean {mean}{bounds}")
    return f"{title}: {'; '.join(said)}."
