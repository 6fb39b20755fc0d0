"""Other people's programs on a file of every protocol: the stage that needs silx, punx and h5dump.

Not part of the suite that ``./pumpbench test`` runs.  silx and punx want packages that the bench does without (punx a
Qt of its own), so they are installed once into a folder of their own; h5dump is of the package hdf5-tools.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nexusformat.nexus as nx
import pytest
import xarray as xr

from data.fold import fold
from data.run import Run

RUNS = sorted((Path(__file__).parents[1] / "runs").glob("*.h5"))
PACKAGES = ("silx==3.1.3", "punx==0.3.5", "h5py==3.16.0", "setuptools<82")

UNKNOWN_NXDL = ["/entry"]
"""Where earlier files are at fault: they say what they are as `definition`, which NeXus keeps for its own."""

SILX = """
import json, sys
import silx.io
from silx.io import nxdata
with silx.io.open(sys.argv[1]) as file:
    plot = nxdata.get_default(file, validate=True)
    read = []
    def look(group):
        for name in group:
            item = group[name]
            if silx.io.is_group(item):
                look(item)
            else:
                item[()]
                read.append(item.name)
    look(file)
    said = {"valid": plot.is_valid, "signal": plot.signal_name, "shape": plot.signal.shape, "read": len(read)}
    print(json.dumps(said))
"""


@pytest.fixture(scope="session")
def tools() -> Path:
    """Folder of the programs of silx and punx; made where it is not there yet."""
    folder = Path(tempfile.gettempdir()) / f"pb-public-tools-{re.sub('[^0-9a-z.]', '', ''.join(PACKAGES))}"
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES], check=True)
        done.touch()
    return folder / "bin"


@pytest.fixture
def new_file(tmp_path: Path, write_run: Callable[..., Path]) -> Path:
    """A run file as it is made today."""
    return fold(write_run(tmp_path / "a"), tmp_path / "run.h5")


def silx(tools: Path, path: Path) -> dict[str, Any]:
    done = subprocess.run([tools / "python", "-c", SILX, path], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def faults(tools: Path, path: Path) -> list[str]:
    """Objects that the NeXus validator calls an error."""
    words = [tools / "punx", "validate", "--report", "ERROR", path]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "QT_QPA_PLATFORM": "minimal"}
    )
    (count,) = re.findall(r"^ERROR +(\d+) ", done.stdout, re.MULTILINE)
    found = re.findall(r"^(/\S*) +ERROR ", done.stdout, re.MULTILINE)
    assert len(found) == int(count)
    return found


def h5dump(path: Path) -> str:
    program = shutil.which("h5dump")
    assert program, "h5dump is not installed; install it, such as with: apt-get install hdf5-tools"
    return subprocess.run([program, path], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_reads_every_variable_with_its_dates(path: Path, engine: str) -> None:
    with xr.open_datatree(path, engine=engine) as tree, Run.open(path) as run:
        tree.load()
        for group in run.streams.values():
            stream = tree[group.name]
            assert stream.time.dtype.kind == "M"
            assert stream.sizes["time"] == len(group["time"])


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_nexusformat_and_silx_find_the_same_valid_plot_and_silx_reads_every_dataset(tools: Path, path: Path) -> None:
    plotted = nx.nxload(path).plottable_data
    said = silx(tools, path)
    assert said["valid"]
    assert plotted.nxsignal.attrs["units"] in ("uL/h", "mg", "kPa", "degC", "N")
    assert list(plotted.nxsignal.shape) == said["shape"]
    assert said["read"] > 200


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_the_nexus_validator_finds_nothing_but_the_one_fault_of_earlier_files(tools: Path, path: Path) -> None:
    with h5py.File(path) as file:
        earlier = "definition" in file["entry"]
    assert faults(tools, path) == (UNKNOWN_NXDL if earlier else [])


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_h5dump_reads_all_data(path: Path) -> None:
    assert h5dump(path).count("DATASET ") > 200


def test_a_file_as_it_is_made_today_has_no_fault_at_all(tools: Path, new_file: Path) -> None:
    assert faults(tools, new_file) == []
    assert silx(tools, new_file)["valid"]
    assert "DATASET" in h5dump(new_file)
