"""Whole runs with a person in them, on the simulated station: operator, file of answers, and a pump behind a person."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import closing, session
from bench.cli import main
from bench.request import Request
from bench.session import Result, conduct
from data.checks import Check, Evaluation, Status, Verdict
from data.run import Run
from data.tomlfile import FileError
from protocols.analysis.decision import reported
from protocols.procedure import Measures, Procedure, param
from protocols.prompts import Ask, Confirm
from protocols.steps import Phase, Step


class Weighed(Procedure):
    """A weight on the balance, and a height that somebody measures."""

    name, method = "weighed", 1
    relies_on_rig_check = False
    roles = (Measures("reference_mass", "mg"),)
    weight_mg: float = param("weight", default="20 g")
    asks: str = param("what else is asked", default="height", choices=("height", "riddle"))

    def steps(self) -> Iterator[Step]:
        """Empty, loaded."""
        yield Confirm("level", "level-balance", "Level the balance.")
        yield Phase("empty", for_s=60.0)
        details = (("mass_mg", self.weight_mg),)
        yield Confirm("weight", "place-weight", "Put the weight on.", details=details, second_person=True)
        yield Phase("settling", for_s=60.0)
        yield Phase("loaded", for_s=60.0)
        if self.asks == "height":
            yield Ask("height", "measure-height", "How high is the transducer?", "mm", -500.0, 500.0)
        else:
            yield Ask("riddle", "guess", "What have I got in my pocket?", "mm")

    @staticmethod
    def evaluate(run: Run) -> Evaluation:
        """Mass of the weight, and the height."""
        masses = [math.fsum(run.series("reference_mass").within(phase).values) for phase in ("empty", "loaded")]
        counts = [len(run.series("reference_mass").within(phase)) for phase in ("empty", "loaded")]
        weight = masses[1] / counts[1] - masses[0] / counts[0]
        checks: list[Check] = [reported("weight", "Weight", weight, "mg")]
        checks.append(reported("height", "Height", run.answers.get("height"), "mm"))
        return Evaluation(tuple(checks))


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Conduct the protocol with some things different."""
    monkeypatch.setattr("bench.request.load_procedure", lambda _: Weighed)
    monkeypatch.setattr(closing, "load_procedure", lambda _: Weighed)

    def run(**different: Any) -> Result:
        return conduct(Request("weighed", "sim", out=tmp_path, **{"seed": 3, **different}))

    return run


def values(result: Result) -> dict[str, Any]:
    return {check.name: check.value for check in result.evaluation.checks}


def answers(result: Result) -> list[dict[str, Any]]:
    with Run.open(result.run_file) as run:
        return [dict(event.fields) for event in run.records("answer")]


@pytest.mark.usefixtures("unsealed")
def test_a_simulated_operator_makes_a_run_whole(ask: Callable[..., Result]) -> None:
    result = ask()
    assert result.end.status is Status.COMPLETED
    assert values(result)["weight"] == pytest.approx(20_000.0, abs=5.0)
    assert abs(values(result)["height"]) < 50.0
    assert {answer["person"] for answer in answers(result)} == {"Simulated Operator"}


def test_equal_seeds_give_equal_files_and_other_seeds_other_reactions(ask: Callable[..., Result]) -> None:
    once, again = ask(), ask()
    assert once.verification.digest == again.verification.digest
    assert answers(once) == answers(again)
    assert values(once) == values(again)
    assert answers(ask(seed=4)) != answers(once)


FILE = 'person = "Ada"\nsecond_person = "Ben"\n[answers]\nlevel = "done"\nheight = "12.5 cm"\n'


@pytest.mark.usefixtures("unsealed")
def test_a_file_answers_what_it_knows_and_the_operator_the_rest(ask: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "answers.toml").write_text(FILE)
    result = ask(answers=str(tmp_path / "answers.toml"))
    assert values(result)["height"] == 125.0
    assert [(each["key"], each["source"], each["person"]) for each in answers(result)] == [
        ("level", "file", "Ada"),
        ("weight", "simulated-operator", "Simulated Operator"),
        ("height", "file", "Ada"),
    ]
    assert values(result)["weight"] == pytest.approx(20_000.0, abs=5.0)


def test_a_file_that_does_not_fit_keeps_the_run_from_starting(ask: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "answers.toml").write_text(FILE.replace("height", "heigth"))
    with pytest.raises(FileError, match='did you mean "height"'):
        ask(answers=str(tmp_path / "answers.toml"))
    assert list(tmp_path.glob("*.journal")) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "there is no such file"), (FILE, 'key "answers.level": the run does not ask this'), ("x", "is not TOML")],
)
def test_a_wrong_file_on_the_command_line_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    file = tmp_path / "answers.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["run", "flow-accuracy", "--station", "sim", "--out", str(tmp_path), "--answers", str(file)])
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert (ended.value.code, says in sentence, str(file) in sentence) == (2, True, True)
    assert list(tmp_path.glob("*.journal")) == []


@pytest.mark.usefixtures("unsealed")
def test_a_question_that_nobody_can_answer_ends_the_run_and_not_the_patience(ask: Callable[..., Result]) -> None:
    result = ask(settings={"asks": "riddle"})
    assert result.end.status is Status.ERROR
    assert result.end.reason.startswith('prompt "riddle": the simulated operator does not know how to guess')
    assert session.exit_code(result) == 3


# ---------------------------------------------------------------------------------------- a pump behind a person

BY_HAND = {
    'driver = "pump-link"\nresource = "ASRL3::INSTR"': 'driver = "operator-link"\nmaker = "Nobody"\nmodel = "P-20"',
    '[simulation.visa."ASRL3::INSTR"]\ndevice = "pump-link"\n': "",
    'period = "1 s"': 'period = "5 s"',
    'interval = "0.1 s"': 'interval = "1 s"',
    'rate = "10 Hz"': 'rate = "1 Hz"',
}
"""Changes of the simulated station: a pump without a wire, and instruments that are read less often."""


@pytest.fixture(scope="module")
def by_hand(
    tmp_path_factory: pytest.TempPathFactory, sim_station: Callable[..., Path], short_request: Callable[..., Request]
) -> Result:
    """A short flow-accuracy run on a station whose pump only a person can program."""
    folder = tmp_path_factory.mktemp("by-hand")
    return conduct(short_request(sim_station(folder, BY_HAND), out=folder))


def test_a_flow_accuracy_run_goes_through_a_person(by_hand: Result, short_run: Result) -> None:
    assert by_hand.end.status is Status.COMPLETED, by_hand.end.reason
    mean, with_link = (
        next(check for check in result.evaluation.checks if check.name == "mean-flow-error")
        for result in (by_hand, short_run)
    )
    assert mean.verdict is with_link.verdict is Verdict.PASS
    assert mean.value == pytest.approx(with_link.value, abs=1.0)


def test_its_record_tells_who_did_what_and_when(by_hand: Result) -> None:
    with Run.open(by_hand.run_file) as run:
        commands = [event.fields for event in run.records("pump-command")]
        asked = [event.fields["key"] for event in run.records("prompt")]
        state = run.records("pump")[0].fields
    assert [str(command["command"]).split()[0] for command in commands] == ["SET", "RUN", "STOP"]
    assert all(command["confirmed_s"] > command["issued_s"] for command in commands)
    assert asked[:3] == ["pump-serial", "pump-program-1", "pump-program-1-mode"]
    assert state["running"] in (False, 0)
    assert state["delivered_ul"] is None


def test_a_pump_behind_a_person_is_as_deterministic_as_any(
    by_hand: Result, short_request: Callable[..., Request], sim_station: Callable[..., Path], tmp_path: Path
) -> None:
    again = conduct(replace(short_request(sim_station(tmp_path, BY_HAND)), out=tmp_path))
    assert again.verification.digest == by_hand.verification.digest


# ------------------------------------------------------------------------------------------------- a real station

REAL = {'visa = "simulated"': 'visa = "@py"', 'daq = "simulated"': 'daq = "local"'}


def test_a_real_station_with_nobody_there_refuses_what_asks(
    monkeypatch: pytest.MonkeyPatch, sim_station: Callable[..., Path], tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.request.load_procedure", lambda _: Weighed)
    request = Request("weighed", str(sim_station(tmp_path, REAL)), serial="S1", out=tmp_path)
    with pytest.raises(FileError, match=r'asks "Level the balance\.", and nobody is there to answer.*level = "done"'):
        session.check(request)
    session.check(replace(request, attended=True))
