"""A PostgreSQL server for the catalogue: the stage of .ci/run that needs postgresql.

Not part of the suite that ``./pumpbench test`` runs, which needs no server.  The server is started here, on a socket in
a folder of its own; as root it is started as nobody, since PostgreSQL refuses root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from data.catalogue.entry import CheckEntry, Entry, read_entry
from data.catalogue.store import Catalogue, CatalogueError, Wanted, url_of

FLOW = Path(__file__).parents[1] / "runs" / "flow-accuracy-3.h5"


def programs() -> Path:
    """Folder of initdb and pg_ctl."""
    there = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *filter(None, [shutil.which("initdb")])]
    assert there, "PostgreSQL is not installed; install it, such as with: apt-get install postgresql"
    return Path(max(there, key=lambda path: float("".join(filter(str.isdigit, Path(path).parts[-3])) or 0))).parent


@pytest.fixture(scope="module")
def server() -> Iterator[URL]:
    """A server that lives as long as the tests of this file."""
    folder = Path(tempfile.mkdtemp(prefix="pb-pg-", dir="/tmp"))  # the path of a socket is short
    is_root = os.geteuid() == 0
    nobody = pwd.getpwnam("nobody")
    as_nobody = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"] if is_root else []
    if is_root:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    folder.chmod(0o755)

    def call(program: str, *words: str) -> None:
        command = [*as_nobody, str(programs() / program), *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    data = str(folder / "data")
    try:
        call("initdb", "-D", data, "-U", "bench", "-A", "trust", "--no-sync", "--encoding=UTF8")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        call("pg_ctl", "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start")
        try:
            yield url_of(f"postgresql://bench@/postgres?host={folder}")
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def catalogue(server: URL) -> Iterator[Catalogue]:
    with Catalogue(server, "lab-1", make=True, anew=True) as made:
        yield made


def test_what_a_file_says_comes_back_from_postgresql_as_it_does_from_sqlite(catalogue, tmp_path):
    entry = read_entry(FLOW)
    with Catalogue(url_of(str(tmp_path / "c.db")), "lab-1", make=True) as local:
        for each in (catalogue, local):
            each.add([entry])
        (shared,), (own,) = catalogue.runs(), local.runs()
        assert replace(shared, id=own.id) == own
        assert catalogue.details(shared) == local.details(own)


def test_every_filter_works_on_postgresql(catalogue):
    catalogue.add([read_entry(FLOW), Entry("/b.h5", 1, 1, "run", made="2025-01-01T00:00:00.000000+00:00")])
    wanted = Wanted(
        dut="SIMULATED", lot="SIMULATED", instrument="B021002593", protocol="flow-accuracy", verdict="pass",
        origin="simulated", station="sim", review="unreviewed", since="2026-11", until="2026-11-21",
    )  # fmt: skip
    assert [line.path for line in catalogue.runs(wanted)] == [str(FLOW)]
    assert catalogue.count() == 2
    assert catalogue.find("flow-accuracy-3.h5").path == str(FLOW)
    assert len(catalogue.points("mean-flow-error", wanted)) == 1
    assert catalogue.uses("B021002593")[0].instrument.certificate == "SIM-BAL-01"


def test_benches_that_write_at_once_lose_nothing(server, catalogue):
    check = CheckEntry("c", "C", 1.0, None, None, None, None, "1", "pass", "dut", False)
    failed: list[Exception] = []

    def bench(name: str) -> None:
        try:
            with Catalogue(server, name) as own:
                own.add(Entry(f"/runs/{k}.h5", 1, 1, "run", run_id=f"{name}-{k}", checks=(check,)) for k in range(20))
        except CatalogueError as error:
            failed.append(error)

    threads = [threading.Thread(target=bench, args=(f"lab-{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(catalogue.points("c")) == 80


def test_a_file_of_one_bench_that_has_gone_is_missing_for_it_alone(server, catalogue):
    with Catalogue(server, "lab-2") as other:
        for each, run_id in ((catalogue, "a"), (other, "b")):
            each.add([Entry("/runs/1.h5", 1, 1, "run", run_id=run_id)])
        assert catalogue.gone(["/runs/1.h5"]) == ["/runs/1.h5"]
        assert {line.run_id: line.kind for line in other.runs()} == {"a": "missing", "b": "run"}


def test_a_server_that_does_not_answer_is_one_sentence_without_the_password():
    with pytest.raises(CatalogueError, match="see whether the server runs") as error:
        Catalogue(url_of("postgresql://bench:secret@127.0.0.1:1/x"), "lab-1", make=True)
    assert "secret" not in str(error.value)
