"""Make the pictures and figures of the documentation from a demo run: ``python -m docs.make_pictures``.

Writes docs/images/demo.svg (what the terminal shows) and docs/images/flow-accuracy.svg (the curves), and prints the
numbers that docs/explanation/verdict.md and docs/tutorial.md quote.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from bench.cli.run import DEMO_SEED
from bench.cli.show import ending_of, notes_of, table_of
from bench.request import Request
from bench.session import Result, conduct
from data.checks import Axis, Check, Evaluation
from data.run import Run
from data.samples import FloatArray
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.gravimetry import immersion_factor, z_factor_ul_per_mg

IMAGES = Path(__file__).parent / "images"
INK, GRID, PAPER = "#24292f", "#d8dee4", "#ffffff"
COLOURS = {"schedule": "#8c959f", "sensor": "#e0a030", "balance": "#0969da", "ep_max": "#cf222e", "ep_min": "#0969da"}
NAMES = {"ep_max": "Ep(max)", "ep_min": "Ep(min)"}


def main() -> None:
    """Run the demo and write everything."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        result = conduct(Request("flow-accuracy", "sim", seed=DEMO_SEED, out=Path(folder)))
        (IMAGES / "demo.svg").write_text(terminal(result), "utf-8")
        click.echo("\n".join(volume_rows(result.run_file)))
    (IMAGES / "flow-accuracy.svg").write_text(curves(result.evaluation), "utf-8")
    mean = next(check for check in result.evaluation.checks if check.name == "mean-flow-error")
    click.echo("\n".join(budget_rows(mean)))


# ---------------------------------------------------------------------------------------------- the terminal


def terminal(result: Result) -> str:
    """What ``pumpbench demo`` prints, as a picture."""
    import io

    from rich.console import Console

    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print("$ ./pumpbench demo", style="bold", highlight=False)
    console.print(table_of(result.evaluation))
    ending = [line.replace(str(result.run_file.parent), "runs") for line in ending_of(result)]
    console.print("\n".join([*notes_of(result.evaluation), "", *ending]), highlight=False, markup=False, soft_wrap=True)
    # A page that shows the picture loads no fonts for it: leave the reader's own.
    svg = console.export_svg(title="pumpbench demo")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace(
        "Fira Code,", "Consolas, Menlo, DejaVu Sans Mono,"
    )
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


# ------------------------------------------------------------------------------------------------ the curves


@dataclass(frozen=True)
class Panel:
    """One plot: where it lies on the picture, and what its axes span."""

    left: float
    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False
    top: float = 44.0
    width: float = 420.0
    height: float = 240.0

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Place of a value on the picture."""
        low, high, x = (float(np.log10(v)) if self.log else v for v in (*self.x, x))
        right = (x - low) / (high - low)
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + self.width * right, self.top + self.height * (1.0 - up)

    def frame(self, x_ticks: list[float], y_ticks: list[float], x_title: str, y_title: str) -> Iterator[str]:
        """Grid, numbers and titles."""
        bottom = self.top + self.height
        for tick in x_ticks:
            x, _ = self.point(tick, self.y[0])
            yield f'<line x1="{x:.1f}" y1="{self.top}" x2="{x:.1f}" y2="{bottom}" stroke="{GRID}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in y_ticks:
            _, y = self.point(self.x[0], tick)
            yield f'<line x1="{self.left}" y1="{y:.1f}" x2="{self.left + self.width}" y2="{y:.1f}" stroke="{GRID}"/>'
            yield f'<text x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        middle = self.left + self.width / 2
        yield f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">{x_title}</text>'
        yield f'<text x="{self.left}" y="{self.top - 26}" font-weight="bold">{self.title}</text>'
        yield f'<text x="{self.left}" y="{self.top - 9}">{y_title}</text>'

    def line(self, x: FloatArray, axis: Axis, order: int) -> Iterator[str]:
        """One curve, and its name at the upper edge."""
        colour, name = COLOURS[axis.name], NAMES.get(axis.name, axis.name)
        known = np.isfinite(axis.values)
        pieces = np.split(np.arange(x.size), np.flatnonzero(np.diff(known)) + 1)
        path = " ".join(self._piece(x[piece], axis.values[piece]) for piece in pieces if known[piece[0]])
        yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        at = self.left + self.width - 66 * order
        yield f'<text x="{at}" y="{self.top - 9}" text-anchor="end" fill="{colour}">{name}</text>'

    def _piece(self, x: FloatArray, y: FloatArray) -> str:
        points = [self.point(*pair) for pair in zip(x.tolist(), y.tolist(), strict=True)]
        return "M" + " L".join(f"{px:.1f},{py:.1f}" for px, py in points)


def curves(evaluation: Evaluation) -> str:
    """Flow and trumpet curve side by side."""
    found = {curve.name: curve for curve in evaluation.curves}
    flow = Panel(52, "Flow, means of two strokes (14.4 min)", (0.0, 50.0), (40.0, 45.0))
    trumpet = Panel(548, "Trumpet curve of the analysis, against the set rate", (10.0, 1000.0), (-2.0, 3.0), log=True)
    parts = [
        *flow.frame([0, 10, 20, 30, 40, 50], [40, 41, 42, 43, 44, 45], "hours since the start of delivery", "µL/h"),
        *trumpet.frame([10, 30, 100, 300, 1000], [-2, -1, 0, 1, 2, 3], "observation window, min", "%"),
    ]
    names: list[str] = []
    for panel, curve in ((flow, found["flow"]), (trumpet, found["trumpet"])):
        for order, axis in enumerate(sorted(curve.y, key=lambda axis: list(COLOURS).index(axis.name))):
            line, name = panel.line(curve.x.values, axis, order)
            parts.append(line)
            names.append(name)
    body = "\n".join([*parts, *names])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 990 334" font-family="sans-serif" font-size="12" '
        f'fill="{INK}">\n<rect width="990" height="334" fill="{PAPER}"/>\n{body}\n</svg>\n'
    )


# ---------------------------------------------------------------------------------- the numbers and their budget


def volume_rows(run_file: Path) -> Iterator[str]:
    """From the balance to the volume, step by step."""
    with Run.open(run_file) as run:
        record = known_record(run)
        collected, (from_s, to_s) = record.collected, record.analysis
        weighing = collected.weighing
        begin, end = collected.shown_mg(np.array([from_s, to_s])).tolist()
        lost = float(collected.evaporation.lost_mg(from_s, np.array([to_s]))[0])
        yield f"analysis {from_s:.3f} s to {to_s:.3f} s"
        for one in collected.evaporation.blanks:
            yield f"blank: {one.rate_mg_per_h:.4f} mg/h, u {one.u_mg_per_h:.4f} mg/h, dof {one.dof:.3g}"
        yield f"mass {begin:.2f} mg to {end:.2f} mg: gain {end - begin:.2f} mg; evaporated {lost:.3f} mg"
        air, fluid = weighing.air_mg_per_ul, weighing.fluid_mg_per_ul
        immersion = immersion_factor(weighing.tube_diameter_mm, weighing.vessel_diameter_mm)
        yield f"air {air:.6f} mg/uL, fluid {fluid:.6f} mg/uL, Z {z_factor_ul_per_mg(air, fluid):.6f}, f {immersion:.6f}"
        volume, _ = collected.delivered(from_s, to_s)
        expected = record.expected_ul(from_s, to_s)
        yield f"volume {volume:.2f} uL, expected {expected:.2f} uL, error {100 * (volume / expected - 1):+.4f} %"


def budget_rows(check: Check) -> Iterator[str]:
    """The budget as it stands in the documentation."""
    assert check.value is not None
    assert check.standard_uncertainty is not None
    for source, u in sorted(check.budget, key=lambda row: -row[1]):
        share = 100.0 * u**2 / check.standard_uncertainty**2
        yield f"{source:<28} {u:8.4f} {check.unit} {share:6.1f} %"
    yield f"{'combined':<28} {check.standard_uncertainty:8.4f} {check.unit}, dof {check.degrees_of_freedom:.4g}"
    yield f"value {check.value:.4f}, k = {check.coverage_factor:.4f}, U = {check.expanded_uncertainty:.4f} {check.unit}"


if __name__ == "__main__":
    main()
