"""Calibration of one channel against a reference with a certificate: a zero, two points or many."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from instruments.capabilities import PressureController, Valve
from protocols.analysis.rig.points import read_difference, read_points
from protocols.procedure import Controls, Measures, ParamError, Procedure, param
from protocols.prompts import Ask, Confirm
from protocols.steps import MoveValve, Phase, SetPressure, Step, VentPressure

if TYPE_CHECKING:
    from data.checks import Evaluation
    from data.run import Run


MOST_TIMES = 4.0
"""Expanded uncertainty over the scatter about the line, from which on more points are worth it."""


class Calibration(Procedure):
    """Calibration of one channel against a reference with a certificate."""

    name, method = "calibration", 4
    relies_on_rig_check = False
    roles = (
        Controls("controller", PressureController, optional=True),
        Measures("controller_pressure", "kPa", optional=True),
        Controls("vent", Valve, optional=True),
    )
    channel: str = param("channel to calibrate, as instrument.channel")
    points: str = param('values of the reference, such as "0 kPa, 20 kPa, 40 kPa"; a single one is a zero')
    source: str = param(
        "who brings the reference to each value: a person, who enters what it shows, or the pressure controller",
        default="person",
        choices=("person", "controller"),
    )
    course: str = param("up, or up and down again, which shows hysteresis", default="up", choices=("up", "up-down"))
    reference: str = param("the reference: maker, model and serial number")
    certificate: str = param("number of the reference's certificate")
    uncertainty: str = param('expanded uncertainty of the reference (k = 2), such as "0.02 kPa"')
    allowed: str = param('largest error that may remain, such as "0.1 kPa"; "" to report only', default="")
    vent: bool = param("connect the line to ambient before a zero of the outlet transducer", default=False)
    settle_s: float = param("wait at each point before it is recorded", default="1 min", low="0 s", high="4 h")
    record_s: float = param("record at each point", default="1 min", low="10 s", high="4 h")

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.reference_points, self.unit = read_points(self.points)
        for name in ("uncertainty", "allowed"):
            text = getattr(self, name)
            try:
                difference = read_difference(text, self.unit) if text or name == "uncertainty" else math.inf
            except ParamError as error:
                raise ParamError(f'parameter "{name}": {error}') from None
            if not difference > 0.0:
                where = "; take it from the certificate" if name == "uncertainty" else ""
                raise ParamError(f'parameter "{name}": "{text}" is not above 0{where}')
        if self.source == "controller" and self.unit != "kPa":
            raise ParamError(f'parameter "source": a pressure controller cannot give {self.unit}; take source=person')

    @property
    def order(self) -> tuple[float, ...]:
        """The points in the order in which they are taken."""
        up = tuple(sorted(self.reference_points))
        return up if self.course == "up" or len(up) == 1 else up + up[-2::-1]

    def needs(self) -> set[str]:
        """The controller where it is the source, with its own reading as the reference; the vent where it opens."""
        source = {"controller", "controller_pressure"} if self.source == "controller" else set()
        return super().needs() | source | ({"vent"} if self.vent else set())

    def steps(self) -> Iterator[Step]:
        """Each point: bring the reference there, wait, record."""
        if self.vent:
            yield MoveValve("vent", True)
        if self.source == "person":
            yield Confirm(
                "connected",
                "connect-reference",
                f"Connect {self.reference} (certificate {self.certificate}) to {self.channel}.",
                details=(("channel", self.channel),),
            )
        for k, value in enumerate(self.order, start=1):
            yield from self._bring(k, value)
            yield Phase(f"settle-{k}", for_s=self.settle_s)
            yield Phase(f"point-{k}", for_s=self.record_s)
        if self.vent:
            yield MoveValve("vent", False)

    def _bring(self, k: int, value: float) -> Iterator[Step]:
        if self.source == "controller":
            yield SetPressure("controller", value)
            return
        shown = f"{value:g} {self.unit}"
        yield Ask(
            f"reference-{k}",
            "set-reference",
            f"Bring the reference to about {shown}, keep it there, and enter what it shows.",
            unit=self.unit,
            details=(("value", value), ("channel", self.channel)),
        )

    def teardown(self) -> Iterator[Step]:
        """Nothing stays under pressure."""
        if self.source == "controller":
            yield VentPressure("controller")
        if self.vent:
            yield MoveValve("vent", False)

    def remarks(self, dut: Mapping[str, Any]) -> Iterator[str]:
        """Too few points to show what a straight line leaves."""
        if not self.allowed:
            return
        if len(self.order) == 2:
            yield "two points fix the correction and show nothing of what remains between them; give at least five"
        elif len(set(self.order)) > 2:
            from protocols.analysis.rig.calibration import expanded_over_scatter

            times = expanded_over_scatter(self.order)
            if times > MOST_TIMES:
                yield (
                    f"with {len(self.order)} points U is {times:.2g} times the scatter about the line, with five of "
                    "them up and down again 2.9 times; give more, or course=up-down"
                )

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Fit the correction and say what remains; see docs/howto/calibrate.md."""
        from protocols.analysis.rig.calibration import evaluate

        return evaluate(run)


PROCEDURE = Calibration
