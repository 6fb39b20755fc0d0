"""Recurrences over a chunk: the filter in C does the arithmetic that stands in their docstring, to the last bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.stepping import recurrence

finite = st.floats(-1e6, 1e6)


@given(st.floats(0.0, 1.0), finite, st.lists(finite, max_size=20))
def test_a_recurrence_is_the_one_that_is_written_down_to_the_last_bit(kept, start, drive):
    values = [start]
    for each in drive:
        values.append(kept * values[-1] + each)
    assert recurrence(kept, np.array(drive), start).tolist() == values


def test_the_filter_comes_without_the_package_around_it_which_takes_a_second_to_import():
    code = (
        "import sys, numpy; from instruments.simulation.stepping import recurrence; "
        "recurrence(0.5, numpy.ones(3), 1.0); sys.exit('scipy.stats' in sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
