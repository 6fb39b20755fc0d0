"""Settings of every test."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

import bench.closing
import bench.rig_reference
import bench.trust.signing
import bench.trust.standing
from data.seal import Verifier, examine

# The suite tries the same examples every time, so that its answer depends on the change alone; new ones are looked for
# with `--hypothesis-profile=explore`.  No deadline: a shared computer may stall for longer than any.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("repeatable")

# Container images forbid Python to keep what it has compiled.  Here some eighty processes start, and each would compile
# everything anew; so would pytest, which rewrites the assertions of every file.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# The keys and the register of this suite are its own.  PUMPBENCH_HOME would also have simulated stations be latched.
STATE_FOLDER = tempfile.mkdtemp(prefix="pb-")
os.environ["XDG_STATE_HOME"] = os.environ["LOCALAPPDATA"] = STATE_FOLDER


def pytest_unconfigure() -> None:
    """Leave no state folder behind."""
    shutil.rmtree(STATE_FOLDER, ignore_errors=True)


def pytest_configure() -> None:
    """Hear Control-C also where the suite was started in the background, which would have every child ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test comes first, lest all cores but one wait for it at the end.

    All that was collected stays to the end: the garbage collector need not go through it again and again.
    """
    items.sort(key=lambda item: item.path.name != "test_docs.py")
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


VERIFYING = (bench.closing, bench.rig_reference, bench.trust.signing, bench.trust.standing)


@pytest.fixture(scope="session", autouse=True)
def as_shipped() -> Iterator[Mapping[str, Verifier]]:
    """With what each module verifies a run file, by the module's name.

    It starts a process, as long as a short run takes: here the same work is done in the test's own process.
    """
    shipped = {module.__name__: module.verify for module in VERIFYING}
    for module in VERIFYING:
        module.verify = examine
    yield shipped
    for module in VERIFYING:
        module.verify = shipped[module.__name__]


@pytest.fixture(scope="session")
def sealed_bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder ``home`` with four persons, and a measured run ``run.h5`` that an engineer has reviewed.

    To be copied; the persons' keys are wrapped so that it costs little.
    """
    from bench.trust import users
    from benchmarks.tamper import measured_run

    folder = tmp_path_factory.mktemp("sealed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "SCRYPT_N", 16)
        measured_run(folder)
    return folder
