"""A package of the same name as one of ours, from another program, is noticed at the start."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_somebody_elses_package_of_our_name_is_one_sentence_that_says_where(tmp_path):
    (tmp_path / "instruments").mkdir()
    (tmp_path / "instruments" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench.cli", "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f'"instruments" was found in {tmp_path / "instruments"}' in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
