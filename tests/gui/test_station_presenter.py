"""A station file without a screen: checked while it is typed, compared and saved; its rig checks over time."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rig_chart import RigChart
from bench.rig_reference import RigReference
from bench.station import SHIPPED
from data.checks import Origin, Verdict
from gui.presenters import station_editor, station_files, station_rig
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.rig_checks import CheckRow, RigState, read_rig_checks
from gui.presenters.station_check import check_station
from gui.presenters.station_editor import Part, StationEditor, diff
from gui.presenters.station_files import StationFile, copy_of, free_name, name_in, wrong_name
from gui.presenters.station_rig import StationRig, course_of
from gui.presenters.toml_lines import Piece, keys, line_of, parts, pieces
from gui.presenters.tone import Tone
from gui.theme.syntax import syntax_colour
from gui.theme.tokens import SCHEMES, contrast
from protocols.analysis.rig.chart import control_chart

FULL = (SHIPPED / "sim-full.toml").read_text("utf-8")
RUNS = Path(__file__).parents[1] / "runs"
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class Told:
    """A view that keeps what it was told."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def show_part(self, part: Part) -> None:
        self.parts.append(part)

    def jump(self, line: int) -> None:
        """Nobody looks."""


@pytest.fixture
def editor(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StationEditor:
    """The editor, which shows the shipped simulated station."""
    monkeypatch.chdir(tmp_path)
    context.folder.mkdir()
    made = StationEditor(context)
    made.attach(Told())
    made.find()
    run(made)
    return made


@pytest.fixture
def own(editor: StationEditor) -> StationEditor:
    """The editor with a copy that may be changed."""
    editor.copy("mine")
    run(editor)
    return editor


def run(editor: StationEditor) -> None:
    background = editor.context.background
    assert isinstance(background, Inline)
    background.run()


def typed(editor: StationEditor, old: str, new: str) -> None:
    """Something is typed, and the person pauses."""
    assert old in editor.text
    editor.type(editor.text.replace(old, new, 1))
    editor.check()
    run(editor)


def save(editor: StationEditor) -> None:
    """The comparison is asked for, and has come."""
    editor.save()
    run(editor)


def write(editor: StationEditor) -> None:
    """What was shown is written."""
    editor.write()
    run(editor)


def chosen(editor: StationEditor) -> StationFile:
    assert editor.chosen is not None
    return editor.chosen


def on_disk(editor: StationEditor) -> str:
    return chosen(editor).path.read_text("utf-8")


# ---------------------------------------------------------------------------------------------- lines of a text


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("roles.pump", 'pump = "pump"'),
        ("instruments.daq.channels.2", "[[instruments.daq.channels]]"),
        ("instruments.daq.channels.2.name", 'name = "back_pressure"'),
        ("safe_state", "[[safe_state]]"),
        ("interlocks.e-stop.nothing", "[interlocks.e-stop]"),
        ('simulation.visa."ASRL1::INSTR".model', 'model = "XPR205"'),
    ],
)
def test_the_line_of_a_key_is_found(key, said):
    line = line_of(FULL, parts(key))
    assert line is not None
    assert FULL.splitlines()[line - 1].strip().startswith(said)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_key_of_every_shipped_station_leads_to_its_own_line(path):
    text = path.read_text("utf-8")
    found = list(keys(text))
    assert {key[0] for _, key in found} == set(tomllib.loads(text))
    assert all(line_of(text, key) == number for number, key in found if sum(key == other for _, other in found) == 1)


def test_a_table_below_a_list_of_tables_belongs_to_the_last_of_them():
    text = "[[pump]]\n[pump.line]\nbore = 1\n[[pump]]\n[pump.line]\nbore = 2\n"
    assert line_of(text, ("pump", 0, "line", "bore")) == 3
    assert line_of(text, ("pump", 1, "line", "bore")) == 6


@given(st.text(st.sampled_from("[]\"'#= .ab1\\"), max_size=30))
def test_the_pieces_of_a_line_lie_in_it_and_do_not_overlap(line):
    found = list(pieces(line))
    assert all(one.length > 0 and one.begin >= 0 and one.begin + one.length <= len(line) for one in found)
    assert all(one.begin + one.length <= other.begin for one, other in pairwise(found))


def test_a_number_in_a_text_is_text_and_a_cross_in_a_text_is_no_comment():
    assert [one.piece for one in pieces('high = "150 # kPa"  # limit')] == [Piece.KEY, Piece.TEXT, Piece.COMMENT]


def test_every_tone_of_the_syntax_can_be_read_on_a_field():
    for scheme in SCHEMES.values():
        assert all(contrast(syntax_colour(scheme, piece), scheme.sunken) >= 4.5 for piece in Piece)


# ------------------------------------------------------------------------------------------------ checking a text


@pytest.mark.parametrize(
    ("old", "new", "line_says", "said"),
    [
        ('period = "2 s"', 'perod = "2 s"', "perod", 'did you mean "period"?'),
        ('= "balance.mass"', '= "balance.mss"', 'reference_mass = "balance.mss"', "has no channel"),
        ('high = "150 kPa"', 'high = "150 kPascal"', "[interlocks.outlet-pressure]", "not a pressure"),
        ('instrument = "pusher"', 'instrument = "pushr"', "[[safe_state]]", 'did you mean "pusher"?'),
        ('daq = "simulated"', 'daq = "local"', 'visa = "simulated"', "either both"),
        ('"0 V", "0 kPa"', '"0 V" "0 kPa"', 'points = [["0 V" "0 kPa"]', "not TOML"),
    ],
)
def test_a_mistake_names_its_line_and_the_remedy(old, new, line_says, said):
    (problem,) = check_station(FULL.replace(old, new, 1), "lab.toml").problems
    assert problem.line is not None
    assert FULL.replace(old, new, 1).splitlines()[problem.line - 1].strip().startswith(line_says)
    assert said in problem.text
    assert "/tmp" not in problem.text


def test_a_station_that_is_right_is_told_by_its_parts_with_the_units_of_the_file():
    checked = check_station(FULL, "lab.toml")
    tree = {node.name: {child.name: child.says for child in node.children} for node in checked.tree}
    assert checked.problems == checked.why_not == ()
    assert tree["Protection"]["relief"] == "250 kPa"
    assert tree["Interlocks"]["outlet-pressure"] == "daq.outlet_pressure above 150 kPa: stop"
    assert list(tree["Safe state, in this order"])[:2] == ["1. pusher: halted", "2. controller: vented"]
    assert all(line_of(FULL, child.key) for node in checked.tree for child in node.children)


def test_a_text_that_was_never_right_has_its_tables_as_contents():
    tree = check_station(FULL.replace("driver", "drver", 1), "lab.toml").tree
    assert "balance" in [child.name for node in tree if node.name == "Instruments" for child in node.children]


# --------------------------------------------------------------------------------------------------- files, copies


@given(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True))
def test_a_copy_is_the_same_station_by_another_name(name):
    before, after = tomllib.loads(FULL), tomllib.loads(copy_of(FULL, name))
    assert name_in(copy_of(FULL, name)) == name
    assert after == {**before, "name": name}


def test_a_copy_is_shown_may_be_changed_and_is_called_by_its_own_name(editor: StationEditor):
    assert editor.is_read_only
    assert editor.copy_name == "my-sim-1"
    editor.copy("bench-2")
    run(editor)
    assert not editor.is_read_only
    assert name_in(on_disk(editor)) == "bench-2"
    assert free_name("bench", {"mine"}) == "bench-1"
    assert "already" in wrong_name("bench-2", {"bench-2"})
    assert "letters" in wrong_name("../x", ())


def test_a_copy_of_a_name_that_cannot_be_is_refused_with_a_sentence(editor: StationEditor):
    editor.copy("sim")
    assert 'there is a station "sim" already' in editor.refusal
    assert all(item.is_shipped for item in station_files.station_files(editor.context.folder))


# --------------------------------------------------------------------------------------------------------- saving


def test_what_is_saved_was_shown_before_and_the_old_is_kept_beside_it(own: StationEditor):
    before = own.saved
    typed(own, 'title = "Simulated', 'title = "My')
    save(own)
    assert [line.sign for line in own.review if line.sign in "+-"] == ["-", "+"]
    assert on_disk(own) == before
    write(own)
    assert on_disk(own) == own.text != before
    assert chosen(own).path.with_name("mine.toml.bak").read_text("utf-8") == before
    assert not own.is_changed


def test_a_file_that_is_wrong_is_never_written(own: StationEditor):
    before = on_disk(own)
    typed(own, 'driver = "mettler', 'drver = "mettler')
    save(own)
    write(own)
    assert own.refusal.startswith("Not saved, since the file is wrong: line ")
    assert on_disk(own) == before


def test_what_was_typed_after_the_comparison_is_compared_again_before_it_is_written(own: StationEditor):
    typed(own, 'title = "Simulated', 'title = "My')
    save(own)
    own.type(own.text.replace("[roles]", "[rolls]"))
    write(own)
    assert on_disk(own) == own.saved
    save(own)  # checks first, since it was not checked yet
    assert "wrong" in own.refusal


def test_a_file_that_somebody_else_changed_is_not_overwritten(own: StationEditor):
    typed(own, 'title = "Simulated', 'title = "My')
    chosen(own).path.write_text("name = 'other'", "utf-8")
    save(own)
    assert "changed meanwhile" in own.refusal
    write(own)
    assert on_disk(own) == "name = 'other'"


def test_what_is_typed_in_any_file_is_unsaved_until_it_is_written_or_thrown_away(own: StationEditor):
    assert own.unsaved == []
    typed(own, 'title = "Simulated', 'title = "My')
    own.choose("sim")
    assert own.unsaved == ["mine"]
    own.choose("mine")
    own.revert()
    assert own.unsaved == []


def test_what_somebody_else_has_written_is_shown_where_nothing_was_typed(own: StationEditor):
    chosen(own).path.write_text(own.text.replace("[roles]", "[rolls]"), "utf-8")
    own.find()
    run(own)
    assert "[rolls]" in own.text
    assert len(own.problems) == 1


def test_what_was_typed_stays_though_its_file_is_gone_from_the_disk(own: StationEditor):
    typed(own, 'title = "Simulated', 'title = "My')
    file, text = chosen(own), own.text
    file.path.unlink()
    own.find()
    run(own)
    assert own.unsaved == ["mine"]
    own.choose("sim")
    run(own)
    assert own.unsaved == ["mine"]
    own.choose(file.name)
    run(own)
    save(own)
    write(own)
    assert (own.unsaved, on_disk(own)) == ([], text)


def test_a_look_that_was_begun_before_a_file_was_saved_does_not_show_the_old_text(
    own: StationEditor, monkeypatch: pytest.MonkeyPatch
):
    begun: list[Any] = []
    monkeypatch.setattr(own.context.background, "aside", lambda *words: begun.append(words))
    own.find()
    work, then, _ = begun.pop()
    old = work()
    monkeypatch.undo()
    typed(own, 'title = "Simulated', 'title = "My')
    save(own)
    write(own)
    then(old)
    assert own.text == on_disk(own)
    run(own)
    assert own.text == own.saved == on_disk(own)


def test_a_look_that_failed_is_begun_again_for_who_asked_meanwhile(own: StationEditor, monkeypatch: pytest.MonkeyPatch):
    begun: list[Any] = []
    monkeypatch.setattr(own.context.background, "aside", lambda *words: begun.append(words))
    own.find()
    own.context.edit("sim")
    begun[0][2]("stale file handle")
    (_, (work, then, _)) = begun
    then(work())
    assert chosen(own).name == "sim"


def test_what_is_written_slowly_is_unsaved_until_it_is_on_the_disk_and_what_is_typed_meanwhile_longer(
    own: StationEditor, monkeypatch: pytest.MonkeyPatch
):
    typed(own, 'title = "Simulated', 'title = "My')
    save(own)
    text = own.text
    own.write()
    own.write()
    own.type(text + "# more")
    assert (own.unsaved, own.state[1]) == (["mine"], Tone.BUSY)
    run(own)
    assert (own.unsaved, own.saved, on_disk(own)) == (["mine"], text, text)


def test_a_disk_that_takes_nothing_leaves_the_old_file(own: StationEditor, monkeypatch: pytest.MonkeyPatch):
    before = on_disk(own)
    typed(own, 'title = "Simulated', 'title = "My')
    save(own)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(station_files, "write_whole", full)
    write(own)
    assert "No space left" in own.refusal
    assert on_disk(own) == before
    assert own.is_changed


def test_what_is_typed_is_kept_while_another_file_is_looked_at_and_goes_when_it_is_thrown_away(own: StationEditor):
    typed(own, 'title = "Simulated', 'title = "My')
    name, text = chosen(own).name, own.text
    own.choose("sim-full")
    own.choose(name)
    assert own.text == text
    own.revert()
    assert (own.text, own.is_changed) == (on_disk(own), False)


def test_an_answer_for_a_text_that_was_changed_since_is_not_taken(own: StationEditor):
    own.type(own.text.replace("[roles]", "[rolls]"))
    own.check()
    own.type(own.text.replace("[rolls]", "[roles]"))
    assert own.state == ("Checking…", Tone.MUTED)
    run(own)
    assert own.is_checked
    assert own.problems == ()


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_a_comparison_is_empty_only_for_equal_texts_and_has_every_new_line(before, after):
    said = diff("\n".join(before), "\n".join(after))
    assert bool(said) == (before != after)
    assert sum(one.sign == "+" for one in said) - sum(one.sign == "-" for one in said) == len(after) - len(before)


# ------------------------------------------------------------------------------------ protocols on the bench itself


def test_a_protocol_on_the_bench_is_prepared_with_its_name_and_only_where_it_can_run(own: StationEditor):
    asked: list[tuple[str, str]] = []
    own.context.on_prepare(lambda wish: asked.append((wish.station, wish.protocol)))
    for action in own.actions:
        own.prepare(action.protocol)
    assert asked == [(chosen(own).name, "read-out"), (chosen(own).name, "calibration")]
    assert "has no outlet" in {one.protocol: one.why_not for one in own.actions}["valve-test"]


def test_a_check_that_comes_to_nothing_is_not_said_to_go_on(own: StationEditor, monkeypatch: pytest.MonkeyPatch):
    def hangs(*_: object) -> None:
        raise ValueError("gave no answer within 120 s and was ended")

    monkeypatch.setattr(station_editor, "check_station", hangs)
    own.type(own.text + "# more")
    own.check()
    assert own.state[0] == "Checking…"
    run(own)
    assert own.state == ("Not checked", Tone.WARN)
    monkeypatch.undo()
    own.check()
    run(own)
    assert own.state[1] is Tone.GOOD


def test_nothing_is_run_on_a_file_that_is_not_saved(own: StationEditor):
    typed(own, 'title = "Simulated', 'title = "My')
    assert all("save the file first" in action.why_not for action in own.actions)


@pytest.mark.parametrize(
    ("today", "left", "tone"),
    [
        (date(2030, 12, 31), "due today", Tone.WARN),
        (date(2031, 1, 2), "overdue for 2 d", Tone.FAIL),
        (date(2030, 11, 30), "in 31 d", Tone.PLAIN),
        (date(2030, 12, 1), "in 30 d", Tone.WARN),
    ],
)
def test_a_calibration_is_minded_from_a_month_before_it_is_due(editor: StationEditor, today, left, tone):
    rows = editor.certificates(today)
    assert (rows[0].left, rows[0].tone) == (left, tone)
    assert rows[-1].certificate == "none"


# ------------------------------------------------------------------------------------------------------ rig checks


def check_row(verdict: Verdict = Verdict.PASS, age_h: float = 1.0) -> CheckRow:
    ended = NOW - timedelta(hours=age_h)
    return CheckRow(Path("r.h5"), ended, ended, verdict, ended + timedelta(hours=24), 1, Origin.SIMULATED)


@pytest.mark.parametrize(
    ("row", "reference", "says", "tone"),
    [
        (check_row(), RigReference(True, True), "holds until", Tone.GOOD),
        (check_row(age_h=25.0), RigReference(True, True), "expired: 25 h old", Tone.WARN),
        (check_row(Verdict.FAIL), RigReference(True, False, "it failed"), "fail, 1 h ago", Tone.FAIL),
        (None, RigReference(True, False, "none"), "none was made", Tone.WARN),
        (check_row(), None, "no rig check is asked for", Tone.MUTED),
        (
            check_row(),
            RigReference(True, False, "the latest rig check, r.h5, is altered; run rig-check again", file="r.h5"),
            "is altered",
            Tone.WARN,
        ),
    ],
)
def test_a_rig_check_says_whether_a_run_may_rely_on_it(row, reference, says, tone):
    said = RigState("lab", True, reference, () if row is None else (row,)).says(NOW)
    assert said[0].startswith(says)
    assert said[1] is tone


def test_the_rig_checks_of_a_folder_are_read_and_foreign_files_left_out(tmp_path: Path):
    for number in (1, 2):
        shutil.copy(RUNS / f"rig-check-{number}.h5", tmp_path / f"rig-check_sim-full_{number}.h5")
    (tmp_path / "rig-check_torn.h5").write_bytes(b"torn")
    state = read_rig_checks(str(tmp_path), ("sim-full", "no-such.toml"), True)["sim-full"]
    assert [row.verdict for row in state.rows] == [Verdict.PASS, Verdict.PASS]
    assert state.rows[0].begun > state.rows[1].begun
    assert state.demanded
    assert {len(chart.values) for chart in state.charts} <= {1, 2}


def chart(values: tuple[float, ...], name: str = "flow-gain") -> RigChart:
    begun = tuple((NOW + timedelta(days=day)).isoformat() for day in range(len(values)))
    return RigChart(name, "%", begun, tuple(f"{day}.h5" for day in range(len(values))), values, control_chart(values))


QUIET = (1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98)


def test_a_result_that_is_out_of_control_stands_first_and_says_which_rule(context: Context):
    rig = StationRig(context)
    rig.look("sim-full")
    rig._heard("sim-full", {"sim-full": RigState("sim-full", charts=(chart(QUIET, "leak"), chart((*QUIET, 9.0))))})
    assert [row.name for row in rig.rows] == ["Flow gain", "Leak"]
    assert rig.chosen == "flow-gain"
    assert "beyond three standard deviations" in rig.rules
    rig.choose("leak")
    assert rig.rules == "Nothing is out of control."


def test_what_is_drawn_is_every_value_at_its_date_with_its_limits():
    drawn, made = course_of(chart((*QUIET, 9.0))), control_chart((*QUIET, 9.0))
    assert made is not None
    assert drawn.t[1] - drawn.t[0] == 86400.0
    assert drawn.values[-1] == 9.0
    assert drawn.signals == (7,)
    assert {value for _, value in drawn.limits} == set(made.limits)
    assert drawn.centre == made.centre


def test_too_few_rig_checks_have_no_limits(context: Context):
    rig = StationRig(context)
    rig.look("sim-full")
    rig._heard("sim-full", {"sim-full": RigState("sim-full", charts=(chart(QUIET[:2]),))})
    assert rig.course is not None
    assert rig.course.limits == ()
    assert "from 5 rig checks on" in rig.rules


def test_of_a_station_whose_rig_checks_could_not_be_listed_nothing_is_said_once_another_is_looked_at(
    context: Context, inline: Inline, monkeypatch: pytest.MonkeyPatch
):
    told: list[str] = []
    context.notify = lambda text, tone: told.append(text)
    listed = iter([OSError(116, "Stale file handle"), ()])

    def files(_: Path) -> object:
        if isinstance(next(listed), OSError):
            raise OSError(116, "Stale file handle")
        return ()

    monkeypatch.setattr(station_rig, "rig_files", files)
    monkeypatch.setattr(station_rig, "read_rig_checks", lambda folder, names, whole: {names[0]: RigState(names[0])})
    rig = StationRig(context)
    rig.look("sim-full")
    rig.look("sim")
    inline.run()
    assert (rig.state, told) == (RigState("sim"), [])


def test_what_comes_for_another_station_is_not_shown(context: Context):
    rig = StationRig(context)
    rig.look("sim-full")
    rig._heard("sim", {"sim": replace(RigState("sim"), charts=(chart(QUIET),))})
    assert rig.state is None
