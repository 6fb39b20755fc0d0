"""CUSUM charts at the reference rates: false alarms and delays by Markov chain, and on simulated pulsed delivery.

    python -m benchmarks.cusum [--months 24] [--shifts 200]

The simulation knows nothing of the chart's model: strokes that pulsate, a balance with noise and a wandering zero, a
pump whose rate scatters from stroke to stroke.  It asserts that healthy pumps alarm no more often than designed.
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from protocols.analysis.drift import ARL0_S, DAY_S, Chart, StrokeSums, alarms, design_chart

STROKE_UL = 5.0
NOISE_UL = 0.02
WANDER_UL_PER_ROOT_H = 0.01
PUMP_PERCENT = 0.5
RATES_UL_PER_DAY = (1000.0, 100.0, 48.0)


def delivered(
    generator: np.random.Generator, strokes: int, group_s: float, shift_from: int, shift: float
) -> StrokeSums:
    """Stroke sums of a pump that shifts by so many percent at a stroke."""
    rate = 1.0 + PUMP_PERCENT / 100.0 * generator.standard_normal(strokes)
    rate[shift_from:] += shift / 100.0
    zero = np.cumsum(WANDER_UL_PER_ROOT_H * math.sqrt(group_s / 3600.0) * generator.standard_normal(strokes + 1))
    volume = np.concatenate([[0.0], np.cumsum(STROKE_UL * rate)])
    shown = volume + zero + NOISE_UL * generator.standard_normal(strokes + 1)
    return StrokeSums(group_s * np.arange(1.0, strokes + 1.0), 100.0 * (np.diff(shown) / STROKE_UL - 1.0), 1)


def delay_h(generator: np.random.Generator, chart: Chart, shift: float, trials: int) -> float:
    """Mean time from the shift to its alarm; false alarms before it are passed over."""
    total = 0.0
    for _ in range(trials):
        found = alarms(delivered(generator, 120, chart.group_s, 50, shift), chart)
        total += next(alarm.seen_s for alarm in found if alarm.seen_s > 50 * chart.group_s) - 50 * chart.group_s
    return total / trials / 3600.0


def main() -> None:
    """Compute, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--months", type=int, default=24, help="of healthy delivery to simulate at each rate")
    parser.add_argument("--shifts", type=int, default=200, help="to simulate for each delay")
    options = parser.parse_args()
    print("rate      sigma  k    h     ARL0     false alarms     delay at 5 %          delay at 15 %")
    print("mL/day    %      %    %     days     in healthy days  chain   simulated    chain   simulated")
    for rate in RATES_UL_PER_DAY:
        generator = np.random.Generator(np.random.Philox(int(rate)))
        group_s = STROKE_UL / rate * DAY_S
        wander = WANDER_UL_PER_ROOT_H * math.sqrt(group_s / 3600.0)
        in_volume = math.hypot(NOISE_UL * math.sqrt(2.0), wander)
        chart = design_chart(math.hypot(100.0 * in_volume / STROKE_UL, PUMP_PERCENT), group_s)
        days = 30 * options.months
        false = len(alarms(delivered(generator, round(days * DAY_S / group_s), group_s, 0, 0.0), chart))
        simulated = [delay_h(generator, chart, shift, options.shifts) for shift in (5.0, 15.0)]
        by_chain = [chart.run_length_s(shift) / 3600.0 for shift in (5.0, 15.0)]
        arl0 = min(chart.run_length_s(0.0) / DAY_S, 99999.0)
        design = f"{chart.sigma_percent:<6.2f} {chart.allowance_percent:<4.1f} {chart.limit_percent:<5.2f}"
        delays = "      ".join(f"{one:<5.2f} h {other:>6.2f} h" for one, other in zip(by_chain, simulated, strict=True))
        print(f"{rate / 1000.0:<9g} {design} {arl0:<8.0f} {false:>3d} in {days:<10d} {delays}")
        assert chart.run_length_s(0.0) >= 0.999 * ARL0_S
        expected = days * DAY_S / ARL0_S
        assert false <= expected + 3.0 * math.sqrt(expected), "healthy pumps alarm more often than designed"


if __name__ == "__main__":
    main()
