"""The catalogue of runs: what it keeps of a file, what it finds again, and that damage is said and stops nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from data.catalogue import apart
from data.catalogue.entry import CheckEntry, Entry, InstrumentEntry, read_entry
from data.catalogue.store import Catalogue, CatalogueError, Wanted, span_of, url_of
from data.seal import read_seal
from data.signatures import write_rows

RUNS = Path(__file__).parents[1] / "runs"
FLOW = RUNS / "flow-accuracy-3.h5"

CHECK = CheckEntry("mean-flow-error", "Mean flow error", 0.5, 0.1, 2.0, -14.5, 14.5, "%", "pass", "dut", False)
BALANCE = InstrumentEntry("balance", "mettler-mtsics", "M", "XPR", "B1", "1", "mass", "C-1", "2027-01-31", "mass")
ENTRY = Entry(
    "/runs/a.h5", 1, 1, "run", run_id="a", procedure="flow-accuracy", station="lab-1", dut_model="P-20", dut_serial="7",
    dut_lot="L1", fluid_lot="W1", origin="measured", verdict="pass", made="2026-11-21T10:00:00.000000+00:00",
    review="unreviewed", params={"a": 1}, checks=(CHECK,), instruments=(BALANCE,),
)  # fmt: skip


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue(url_of(str(tmp_path / "c.db")), "here", make=True) as made:
        yield made


def test_what_is_kept_of_a_file_is_what_the_file_says():
    entry = read_entry(FLOW)
    sealed = read_seal(FLOW)
    assert sealed is not None
    assert (entry.kind, entry.run_id, entry.digest) == ("run", sealed["run_id"], sealed["content"])
    assert (entry.procedure, entry.verdict, entry.origin, entry.dut_serial) == (
        "flow-accuracy", "pass", "simulated", "SIMULATED",
    )  # fmt: skip
    assert entry.set_rate_ul_per_h == pytest.approx(1000.0 / 24.0)
    check = next(check for check in entry.checks if check.name == "mean-flow-error")
    assert (check.value, check.u_expanded) == (0.654817587123, 0.149899561269)


def test_an_instrument_is_known_by_serial_number_certificate_and_what_it_did():
    balance = next(one for one in read_entry(FLOW).instruments if one.instrument == "balance")
    assert (balance.serial, balance.certificate, balance.channel) == ("B021002593", "SIM-BAL-01", "mass")
    assert "reference_mass" in balance.relied_on


def test_the_standard_of_a_calibration_is_an_instrument_of_the_run():
    standard = next(one for one in read_entry(RUNS / "calibration-1.h5").instruments if one.instrument == "reference")
    assert (standard.serial, standard.certificate) == ("3213201", "SIM-PACE-01")


@pytest.mark.parametrize(("last", "state"), [("approved", "approved"), ("addendum", "unreviewed")])
def test_the_review_stands_where_the_last_signature_says(tmp_path, last, state):
    run = tmp_path / "run.h5"
    run.write_bytes(FLOW.read_bytes())
    assert read_entry(run).review == "unreviewed"
    write_rows(run, None, [{"meaning": "reviewed"}, {"meaning": last}])
    assert read_entry(run).review == state


def test_a_file_that_is_no_run_is_listed_with_a_sentence(tmp_path, catalogue):
    bad = tmp_path / "bad.h5"
    bad.write_bytes(FLOW.read_bytes()[:5000])
    catalogue.add([read_entry(bad)])
    (line,) = catalogue.runs()
    assert line.kind == "damaged"
    assert "recover" in line.sentence
    assert str(tmp_path) not in line.sentence


def crash(path: Path) -> Entry:
    if path.name == "crash.h5":
        os._exit(3)
    return read_entry(path)


def test_a_file_that_ends_the_process_that_reads_it_is_damaged_and_the_next_one_is_read(tmp_path):
    found = list(apart.read_apart([FLOW, tmp_path / "crash.h5", FLOW], read=crash))
    assert [entry.kind for entry in found] == ["run", "damaged", "run"]
    assert "ended the process" in found[1].sentence


def test_a_file_whose_reading_does_not_end_is_damaged():
    (found,) = apart.read_apart([FLOW], patience_s=0.0, read=crash)
    assert "did not end" in found.sentence


def test_a_file_that_is_added_again_takes_the_place_of_what_was_known(catalogue):
    catalogue.add([ENTRY, replace(ENTRY, verdict="fail", checks=())])
    (line,) = catalogue.runs()
    assert line.verdict == "fail"
    params, checks, instruments = catalogue.details(line)
    assert (params, checks, instruments) == ({"a": 1}, [], [BALANCE])


def test_a_file_that_another_process_puts_in_at_the_same_moment_is_put_in_again(catalogue, monkeypatch):
    catalogue.add([ENTRY])
    seen, as_shipped = [], catalogue._ids

    def late(at: object, path: str) -> list[int]:  # the first look is older than the other process's row
        seen.append(path)
        return [] if len(seen) == 1 else as_shipped(at, path)

    monkeypatch.setattr(catalogue, "_ids", late)
    catalogue.add([replace(ENTRY, verdict="fail")])
    assert [line.verdict for line in catalogue.runs()] == ["fail"]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(dut="7"), Wanted(dut="P-20"), Wanted(lot="W1"), Wanted(lot="L1"), Wanted(instrument="B1"),
        Wanted(instrument="balance"), Wanted(protocol="flow-accuracy"), Wanted(verdict="pass"),
        Wanted(origin="measured"), Wanted(station="lab-1"), Wanted(review="unreviewed"), Wanted(since="2026-11-21"),
        Wanted(until="2026-11-21"), Wanted(since="2026", until="2026-11"),
    ],
)  # fmt: skip
def test_each_filter_finds_what_it_names_and_nothing_else(catalogue, wanted):
    other = Entry("/runs/b.h5", 1, 1, "run", run_id="b", made="2025-01-01T00:00:00.000000+00:00")
    later = replace(other, path="/runs/c.h5", run_id="c", made="2026-12-01T00:00:00.000000+00:00")
    catalogue.add([other if wanted.since or not wanted.until else later, ENTRY])
    assert [line.run_id for line in catalogue.runs(wanted)] == ["a"]
    assert catalogue.count(wanted) == 1


def test_an_instrument_that_only_was_there_is_not_one_that_the_run_relied_on(catalogue):
    catalogue.add([replace(ENTRY, instruments=(replace(BALANCE, relied_on=""),))])
    assert catalogue.runs(Wanted(instrument="B1")) == []


def test_a_copy_of_a_run_counts_once_in_what_is_followed_over_runs(catalogue):
    catalogue.add([ENTRY, replace(ENTRY, path="/copies/a.h5")])
    assert len(catalogue.runs()) == 2
    assert len(catalogue.points("mean-flow-error")) == 1


def test_a_file_that_has_gone_stays_listed_as_missing_unless_its_run_lies_elsewhere(catalogue):
    moved = replace(ENTRY, path="/runs/b.h5", run_id="b")
    catalogue.add([ENTRY, moved, replace(moved, path="/archive/b.h5")])
    assert catalogue.gone(["/runs/a.h5", "/runs/b.h5"]) == ["/runs/a.h5"]
    assert {line.path: line.kind for line in catalogue.runs()} == {"/runs/a.h5": "missing", "/archive/b.h5": "run"}


def test_computers_that_share_a_catalogue_do_not_write_over_each_other(tmp_path):
    url = url_of(str(tmp_path / "c.db"))
    for computer in ("one", "two"):
        with Catalogue(url, computer, make=True) as catalogue:
            catalogue.add([ENTRY])
    with Catalogue(url, "two") as catalogue:
        assert sorted(line.computer for line in catalogue.runs()) == ["one", "two"]
        assert list(catalogue.known()) == ["/runs/a.h5"]


@pytest.mark.parametrize("name", ["/runs/a.h5", "a.h5", "a"])
def test_a_run_is_found_by_path_name_and_id(catalogue, name):
    catalogue.add([ENTRY])
    assert catalogue.find(name).path == "/runs/a.h5"


def test_a_name_that_means_several_runs_says_which(catalogue):
    catalogue.add([ENTRY, replace(ENTRY, path="/other/a.h5", run_id="b")])
    with pytest.raises(CatalogueError, match=r"several runs can be meant by \"a\.h5\" \(/runs/a\.h5, /other/a\.h5\)"):
        catalogue.find("a.h5")


def test_a_catalogue_of_another_version_says_that_it_is_only_an_index(tmp_path, monkeypatch):
    url = url_of(str(tmp_path / "c.db"))
    Catalogue(url, "here", make=True).__exit__()
    monkeypatch.setattr("data.catalogue.store.VERSION", 2)
    with pytest.raises(CatalogueError, match="reindex --anew"):
        Catalogue(url, "here")
    with Catalogue(url, "here", anew=True) as catalogue:
        assert catalogue.runs() == []


@pytest.mark.parametrize(
    ("place", "said"),
    [("mysql://h/d", "mysql is not known"), ("postgresql://h:port/d", "cannot be read")],
)
def test_an_address_that_is_none_is_one_sentence(place, said):
    with pytest.raises(CatalogueError, match=said):
        url_of(place)


def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    (tmp_path / "c.db").write_text("not a database, " * 100)
    with pytest.raises(CatalogueError, match=r"cannot be used .*reindex --anew"):
        Catalogue(url_of(str(tmp_path / "c.db")), "here")
    assert not [file for file in psutil.Process().open_files() if file.path == str(tmp_path / "c.db")]


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2026", "2026-01-01T00", "2027-01-01T00"),
        ("2026-12", "2026-12-01T00", "2027-01-01T00"),
        ("2026-02-28", "2026-02-28T00", "2026-03-01T00"),
        ("2026-02-28T10:00+02:00", "2026-02-28T08", "2026-02-28T08"),
    ],
)
def test_a_date_means_all_of_its_day_month_or_year_in_utc(text, begin, end):
    first, last = span_of(text)
    assert first.startswith(begin)
    assert last.startswith(end)
    assert first < last


def test_what_is_no_date_is_one_sentence():
    with pytest.raises(CatalogueError, match="is no date"):
        span_of("yesterday")


@pytest.mark.parametrize(("text", "count"), [("P-20 LAB", 1), ("w1", 1), ("lab 8", 0), ("100%", 0), ("", 1)])
def test_words_are_found_wherever_they_stand_in_large_or_small_letters(catalogue, text, count):
    catalogue.add([ENTRY])
    assert catalogue.count(Wanted(text=text)) == count


def test_a_list_is_read_page_by_page_in_any_order(catalogue):
    catalogue.add([replace(ENTRY, path=f"/{k}.h5", run_id=str(k), dut_serial=str(k)) for k in range(5)])
    first, second = (catalogue.runs(limit=2, skip=skip, order="dut_serial", up=True) for skip in (0, 2))
    assert [line.dut_serial for line in (*first, *second)] == ["0", "1", "2", "3"]
    with pytest.raises(CatalogueError, match="choose one of made"):
        catalogue.runs(order="colour")


def test_what_runs_can_be_narrowed_to_is_what_is_there(catalogue):
    catalogue.add([ENTRY])
    there = catalogue.choices()
    assert (there["dut"], there["lot"], there["instrument"]) == (["7", "P-20"], ["L1", "W1"], ["B1"])
