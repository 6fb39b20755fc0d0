"""The articles of a lab: what may be used, who said so, and that nothing of it is ever removed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.articles import ArticleError, change_status, load_register, standings
from bench.cli import main
from bench.request import Request, prepare
from data.catalogue.entry import read_entry
from data.catalogue.store import Catalogue, url_of
from data.tomlfile import FileError

FLOW = Path(__file__).parents[1] / "runs" / "flow-accuracy-3.h5"
TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
TEXT = """
[[articles]]
kind = "dut"
id = "SIMULATED"
model = "SIM-20"

[[articles]]
kind = "instrument"
id = "B021002593"
model = "XPR205"
[[articles.certificates]]
number = "SIM-BAL-01"
channel = "mass"
issued = 2026-01-02
due = 2027-01-02
as_found = "within"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "articles.toml").write_text(TEXT)
    return tmp_path / "articles.toml"


def problems(file: Path, today: date = TODAY) -> list[str]:
    return [problem for one in standings(load_register(file), None, today) for problem in one.problems]


def test_a_serial_number_with_a_sign_that_nobody_sees_is_refused(file):
    file.write_text('[[articles]]\nkind = "dut"\nid = "A\\u202E1"\nmodel = "P"\n')
    with pytest.raises(FileError, match=r'"A\\u202e1": what stands behind'):
        load_register(file)


def test_an_article_is_in_use_until_somebody_says_other_and_every_word_of_it_stays(file):
    change_status(file, "SIMULATED", "quarantined", "was dropped", "Eve", NOW)
    change_status(file, "SIMULATED", "in-use", "was inspected", "Bob", NOW)
    assert file.read_text().startswith(TEXT)
    register = load_register(file)
    assert [(one.status, one.person) for one in register.changes] == [("quarantined", "Eve"), ("in-use", "Bob")]
    assert [one.status for one in standings(register, None, TODAY)] == ["in-use", "in-use"]


PUMP = """lot = "2231"
use_by = 2030-01-31
firmware = "2.1"
battery = "2900 mV"
custody = "explant 12-0417"
punctures = 12
"""


def kept_of(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a run would keep of its pump."""
    monkeypatch.setenv("PUMPBENCH_ARTICLES", str(file))
    return prepare(Request("read-out", "sim", out=file.parent)).articles["dut"]


def test_a_run_keeps_what_the_register_knows_of_its_pump(file, monkeypatch):
    plain = kept_of(file, monkeypatch)
    file.write_text(TEXT.replace('model = "SIM-20"\n', f'model = "SIM-20"\n{PUMP}'))
    kept = kept_of(file, monkeypatch)
    changed = {name: value for name, value in kept.items() if value != plain[name]}
    assert changed == {
        "lot": "2231", "use_by": "2030-01-31", "firmware": "2.1", "battery_v": 2.9, "custody": "explant 12-0417",
        "punctures": 12,
    }  # fmt: skip


def test_a_register_that_does_not_know_a_pump_or_cannot_be_read_adds_nothing(file, monkeypatch):
    plain = kept_of(file, monkeypatch)
    pump = f'model = "SIM-20"\n{PUMP}'
    other = TEXT.replace('model = "SIM-20"\n', pump.replace("SIM-20", "OTHER-40"))
    for text in (TEXT.replace('"SIMULATED"', '"SN-2"'), other, "[[articles]"):
        file.write_text(text)
        assert kept_of(file, monkeypatch) == plain


def test_only_a_pump_has_punctures(file):
    file.write_text(TEXT.replace('model = "XPR205"\n', 'model = "XPR205"\npunctures = 3\n'))
    with pytest.raises(FileError, match='"punctures" is of a pump alone, not of kind instrument; remove it'):
        load_register(file)


def test_a_quarantined_article_says_by_whom_and_why(file):
    change_status(file, "SIMULATED", "quarantined", "was dropped", "Eve", NOW)
    assert problems(file) == ["quarantined by Eve: was dropped"]


def test_what_is_retired_is_not_used_again(file):
    change_status(file, "SIMULATED", "retired", "end of life", "Eve", NOW)
    with pytest.raises(ArticleError, match=r"retired by Eve \(end of life\)"):
        change_status(file, "SIMULATED", "in-use", "needed", "Bob", NOW)


def test_a_status_that_it_has_already_is_no_change(file):
    with pytest.raises(ArticleError, match="in-use already"):
        change_status(file, "SIMULATED", "in-use", "needed", "Bob", NOW)


def test_only_the_latest_certificate_of_a_channel_counts(file):
    assert problems(file) == []
    assert problems(file, date(2027, 1, 3)) == ["calibration SIM-BAL-01 of mass was due 2027-01-02"]
    renewed = '[[articles.certificates]]\nnumber = "C-2"\nchannel = "mass"\nissued = 2027-01-01\ndue = 2028-01-01\n'
    file.write_text(TEXT + renewed + 'as_found = "beyond"\n')
    (problem,) = problems(file, date(2027, 1, 3))
    assert problem.startswith("calibration C-2 of mass found it beyond tolerance")
    assert problem.endswith("catalogue impact --instrument B021002593")


def test_runs_of_an_article_come_from_the_catalogue(file, tmp_path):
    with Catalogue(url_of(str(tmp_path / "c.db")), "here", make=True) as catalogue:
        catalogue.add([read_entry(FLOW)])
        assert [one.runs for one in standings(load_register(file), catalogue, TODAY)] == [1, 1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[articles]]\nkind = "fluid"\nid = "SIMULATED"\nmodel = "water"\n', "is there twice"),
        (
            '[[changes]]\nid = "X"\nstatus = "retired"\nreason = "r"\nperson = "p"\nat = 2026-01-01T00:00:00Z\n',
            "never removed",
        ),
        ('[[articles]]\nkind = "pump"\nid = "X"\nmodel = "x"\n', '"pump" is not known here'),
    ],
)
def test_a_file_that_is_no_register_is_said(file, more, said):
    file.write_text(TEXT + more)
    with pytest.raises(FileError, match=said):
        load_register(file)


def test_the_command_lists_and_changes(file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))

    def said(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["articles", *words])
        return int(ended.value.code or 0), capsys.readouterr().out

    assert said("set", str(file), "SIMULATED", "--status", "quarantined", "--reason", "was dropped")[0] == 0
    code, out = said("list", str(file), "--json", "--status", "quarantined")
    assert (code, [one["id"] for one in json.loads(out)]) == (0, ["SIMULATED"])
    assert "was dropped" in said("list", str(file))[1]
