"""The correction of a channel from a calibration run, its uncertainty, and the error that remains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Limits, Status, Verdict
from data.run import Run, RunError
from data.samples import FloatArray
from protocols.analysis.budget import Component, coverage_factor, welch_satterthwaite
from protocols.analysis.decision import judge
from protocols.analysis.rig import RecordError
from protocols.analysis.rig.line import LEAST_SAMPLES
from protocols.analysis.rig.points import read_difference, read_points
from protocols.analysis.standing import of_a_run_cut_off

COVERAGE_FACTOR = 2.0
"""Of the reference's expanded uncertainty, as certificates state it."""

FIXED = "so few points fix the correction: nothing shows what remains between and beyond them"

FAR_OFF = 0.2
"""A reference that shows a value by more than this share of the largest point beside the one asked for was misread."""


@dataclass(frozen=True, slots=True)
class Correction:
    """true value = gain * (indication + offset), as a station file states it.

    Attributes
    ----------
    u : standard uncertainty of a corrected value over the range of the points.
    residuals : (n,) corrected indication less reference at each point.
    dof : degrees of freedom of the scatter; 0 where the points fix the correction exactly.
    u_dof : effective degrees of freedom of ``u``: the scatter's are few.
    """

    gain: float
    offset: float
    u: float
    residuals: FloatArray
    dof: int
    u_dof: float = math.inf


def correction(
    reference: FloatArray, indicated: FloatArray, u_reference: float, u_mean: FloatArray, *, zero: bool = False
) -> Correction:
    """Fit the correction of a channel.

    Parameters
    ----------
    reference, indicated : (n,) values of the reference and mean indications, in the channel's unit.
    u_reference : standard uncertainty of the reference at one point.
    u_mean : (n,) standard uncertainty of each mean indication.
    zero : all points were to be at one value, which the reference shows now so, now so: they fix no gain.

    Raises
    ------
    RecordError
        If there is no point, or several at the same indication only.

    Notes
    -----
    One point gives a zero: the gain stays 1.  More give the straight line by least squares of reference on indication,
    whose scatter, with n - 2 degrees of freedom, holds nonlinearity, hysteresis and noise.  The reference's u does not
    fall with the number of points: its error is the same at all of them.
    """
    n = reference.size
    if n == 0:
        raise RecordError("no point was recorded")
    middle = math.fsum(indicated.tolist()) / n
    mean = math.fsum(reference.tolist()) / n
    x, y = indicated - middle, reference - mean
    sxx = math.fsum((x * x).tolist())
    zero = zero or n == 1 or len(set(reference.tolist())) == 1
    if zero:
        slope = 1.0
        dof = n - 1
    elif sxx == 0.0:
        raise RecordError("the channel shows the same at every point; is the reference connected to it?")
    else:
        slope = math.fsum((x * y).tolist()) / sxx
        dof = n - 2
    if slope <= 0.0:
        raise RecordError("the channel falls while the reference rises; it is wired the wrong way round")
    rest = y - slope * x
    # To points at one value a zero is fitted; what the reference differs by among them says nothing of a line's ends.
    points = np.full(n, mean) if zero else reference
    scatter = math.sqrt(math.fsum((rest * rest).tolist()) / dof) * next_reading(points) if dof else 0.0
    noise = math.sqrt(math.fsum((u_mean * u_mean).tolist()) / n)
    u = math.sqrt(u_reference**2 + scatter**2 + noise**2)
    parts = [Component("reference", u_reference), Component("noise", noise)]
    u_dof = welch_satterthwaite([*parts, Component("scatter", scatter, dof)] if dof else parts)
    residuals = slope * indicated + (mean - slope * middle) - reference
    return Correction(slope, mean / slope - middle, u, residuals, dof, u_dof)


def next_reading(points: FloatArray) -> float:
    """Standard deviation of the error of a corrected reading, over that of the scatter about the line.

    Parameters
    ----------
    points : (n,) values of the reference to which a line was fitted; where they are all one value, a zero was.

    Notes
    -----
    The next reading scatters by s, and the line itself is uncertain by s sqrt(1/n + (x - mean)^2 / Sxx) (Draper and
    Smith, Applied Regression Analysis, 1.4), most at an end of the points: that is taken over all of their range.
    """
    n = points.size
    square = (points - math.fsum(points.tolist()) / n) ** 2
    sxx = math.fsum(square.tolist())
    return math.sqrt(1.0 + 1.0 / n + (float(square.max()) / sxx if sxx else 0.0))


def expanded_over_scatter(points: Sequence[float]) -> float:
    """Expanded uncertainty over the scatter about the line that at least three planned points will leave."""
    return coverage_factor(len(points) - 2.0) * next_reading(np.array(points))


def hysteresis(reference: Sequence[float], indicated: Sequence[float]) -> float:
    """Largest difference between indications at the same nominal point on the way up and down, 0 without such.

    Parameters
    ----------
    reference, indicated : (n,) in the order in which they were taken, up and then down again.
    """
    half = len(reference) // 2
    pairs = [(k, len(reference) - 1 - k) for k in range(half)]
    slope = (max(indicated) - min(indicated)) / max(max(reference) - min(reference), 1e-300)
    # What the reference itself differs by between the two is no hysteresis of the channel.
    return max(
        (abs(indicated[b] - indicated[a] - slope * (reference[b] - reference[a])) for a, b in pairs), default=0.0
    )


def evaluate(run: Run) -> Evaluation:
    """Judge a calibration run."""
    channel, course = str(run.params["channel"]), str(run.params["course"])
    nominal, unit = read_points(str(run.params["points"]))
    u_reference = read_difference(str(run.params["uncertainty"]), unit) / COVERAGE_FACTOR
    allowed = str(run.params["allowed"])
    limits = None
    if allowed:
        half = abs(read_difference(allowed, unit))
        limits = Limits(-half, half, "procedure, allowed")
    try:
        _own(run, channel, unit)
        reference, indicated, u_mean = _points(run, channel)
        _as_asked(run, reference, nominal, unit)
        found = correction(reference, indicated, u_reference, u_mean, zero=len(set(nominal)) == 1)
    except (RecordError, RunError) as error:
        note = str(error)
        return Evaluation((Check("as-left", "Error that remains", None, unit, Verdict.NOT_MEASURED, "rig", note=note),))
    as_found = _by_its_certificate(run, channel, indicated) - reference
    u, dof = found.u, found.u_dof
    checks = [
        _check("as-left", "Error that remains after correction", unit, _worst(found.residuals), u, limits, dof),
        _check("as-found", "Error as found", unit, _worst(as_found), u_reference, limits, optional=True),
    ]
    values = {"gain": found.gain, "offset": found.offset, "u": found.u, "points": float(reference.size)}
    if run.status is not Status.COMPLETED:
        # A part of the points passes no channel, and no station file shall take its correction.
        checks, values = [of_a_run_cut_off(check) for check in checks], {}
    elif not found.dof:
        checks[0] = replace(checks[0], note=FIXED)
    elif course == "up-down" and reference.size > 2:
        both_ways = hysteresis(reference.tolist(), indicated.tolist())
        checks.append(_check("hysteresis", "Hysteresis", unit, both_ways, 0.0, None, optional=True))
    curve = Curve(
        "calibration",
        f"{channel} against the reference",
        Axis("reference", unit, reference),
        (
            Axis("indicated", unit, indicated),
            Axis("error_as_found", unit, as_found),
            Axis("error_as_left", unit, found.residuals),
        ),
    )
    return Evaluation(tuple(checks), (curve,), (), values)


def _own(run: Run, channel: str, unit: str) -> None:
    """Raises RecordError where the channel is its own reference, or is of another kind than the points."""
    if run.params["source"] == "controller" and run.roles.get("controller_pressure") == channel:
        raise RecordError(f'"{channel}" is the reference itself; take source=person and another instrument')
    shown = run.series(channel).channel.unit
    if shown != unit:
        raise RecordError(f'"{channel}" is in {shown} and the points are in {unit}; name the channel that is meant')


def _as_asked(run: Run, reference: FloatArray, nominal: Sequence[float], unit: str) -> None:
    """Raises RecordError where a value is far from the one that was asked for: two points fit any that is typed."""
    up = sorted(nominal)
    order = up if run.params["course"] == "up" or len(up) == 1 else up + up[-2::-1]
    largest = max(abs(one) for one in up)
    for k, (shown, asked) in enumerate(zip(reference.tolist(), order, strict=False), 1):
        if largest > 0.0 and abs(shown - asked) > FAR_OFF * largest:
            said = f"the reference is to have shown {shown:g} {unit} at point {k}"
            wanted = f"where about {asked:g} {unit} was asked for"
            raise RecordError(f"{said}, {wanted}: a typing error, another unit, or points that must be named anew")


def _by_its_certificate(run: Run, channel: str, indicated: FloatArray) -> FloatArray:
    """What the runs made of the indications until now: corrected as the station file says."""
    certificate = run.calibration(channel)
    gain, offset = float(certificate.get("gain", 1.0)), float(certificate.get("offset", 0.0))
    return indicated if (gain, offset) == (1.0, 0.0) else gain * (indicated + offset)


def _worst(errors: FloatArray) -> float:
    return float(errors[np.argmax(np.abs(errors))])


def _check(
    name: str,
    title: str,
    unit: str,
    value: float,
    u: float,
    limits: Limits | None,
    dof: float = math.inf,
    *,
    optional: bool = False,
) -> Check:
    return Check(name=name, title=title, unit=unit, owner="rig", optional=optional, **judge(value, u, dof, limits))


def _points(run: Run, channel: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Reference, mean indication and its u at every point that was recorded."""
    reference, indicated, u_mean = [], [], []
    by_controller = run.params["source"] == "controller"
    for k in range(1, 1 + sum(phase.name.startswith("point-") for phase in run.phases)):
        series = run.series(channel).within(f"point-{k}").good()
        if len(series) < min(LEAST_SAMPLES, 5):
            raise RecordError(f'"{channel}" gave {len(series)} good samples at point {k}; look whether it answers')
        if by_controller:
            shown = run.corrected("controller_pressure").within(f"point-{k}").good().values
            if not shown.size:
                raise RecordError(f"the pressure controller gave no good sample at point {k}; look whether it answers")
            reference.append(math.fsum(shown.tolist()) / shown.size)
        else:
            entered = run.answers.get(f"reference-{k}")
            if entered is None:
                raise RecordError(f"nobody entered what the reference showed at point {k}")
            reference.append(float(entered))
        values = series.values
        indicated.append(math.fsum(values.tolist()) / values.size)
        # Neighbouring samples hang together; ten independent ones are a cautious count.
        u_mean.append(float(np.std(values, ddof=1)) / math.sqrt(min(values.size, 10)))
    return np.array(reference), np.array(indicated), np.array(u_mean)
