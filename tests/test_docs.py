"""The documentation: its links lead somewhere, its commands run as shown, its tables name what there is."""

from __future__ import annotations

import pkgutil
import re
import shlex
import shutil
from dataclasses import fields
from pathlib import Path

import click
import pytest

import instruments.drivers
import instruments.simulation.devices
from bench import protection, rig_limits, station, station_tables
from bench.cli import COMMANDS, cli, main
from bench.unattended import tables
from data.quantities import parse
from data.seal import examine
from instruments.simulation.daqserver.hardware import Wiring
from protocols.procedure import load_procedure, procedure_names

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
GUIDES = [ROOT / "README.md", DOCS / "tutorial.md", *sorted((DOCS / "howto").glob("*.md"))]

SHORT = {"stabilisation": "0 h", "analysis": "1 h", "blank_length": "30 min"}
SHORTENED = {
    "run flow-accuracy": SHORT,
    "run rig-check": {
        "weighings": "2",
        "quiet": "5 min",
        "blank-length": "30 min",
        "compared": "25 uL",
        "soak": "5 min",
    },
}
"""Commands of the guides that make runs, and with what they take less time here."""

LESS_OFTEN = (
    ('driver = "ni-digital"\nperiod = "1 s"', 'driver = "ni-digital"\nperiod = "10 s"'),
    ('max_outage = "5 s"', 'max_outage = "25 s"'),
    ('period = "1 s"', 'period = "5 s"'),
    ('period = "2 s"', 'period = "10 s"'),
    ('period = "3 s"\nsafe_timeout = "10 s"', 'period = "15 s"\nsafe_timeout = "50 s"'),
    ('interval = "0.1 s"', 'interval = "1 s"'),
    ('rate = "10 Hz"', 'rate = "1 Hz"'),
)
AS_SHIPPED = (r"demo$", r"rig-check$", r"--station sim-full$")
"""Of these the shipped stations are read as often as they say; of the others, which show an option each, less often."""

NOT_HERE = (r"pumpbench test", r"pumpbench gui", r"pumpbench qualify", r"lab-1\.toml --dut")
"""What would start the suite, a window, many runs or real instruments."""

MODELS = {
    "The file": station.Station,
    "`[instruments.NAME]`": station_tables.InstrumentTable,
    "`[instruments.NAME.calibration.CHANNEL]`": station_tables.Calibration,
    "`[instruments.NAME.uncertainty]`": station_tables.BalanceUncertainty,
    "`[interlocks.NAME]`": station.InterlockTable,
    "`[[safe_state]]`": station.SafeStep,
    "`[protection]`": protection.Protection,
    "`[collection]`": station_tables.Collection,
    "`[rig_check]`": rig_limits.RigLimits,
    "`[prompts]`": tables.PromptsTable,
    "`[[notify]]`": tables.NotifyTable,
    "`[stack_light]`": tables.StackLightTable,
}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sections(path: Path) -> dict[str, str]:
    """Text under each heading of the second level."""
    parts = re.split(r"^## (.+)$", path.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> dict[str, list[str]]:
    """Cells behind each name in code that stands in the first column of a table."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `"):
            found.update(dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), cells[1:]))
    return found


# ----------------------------------------------------------------------------------------------------- links


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_of_a_page_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    dead = []
    for link in links:
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(link)
    assert dead == []


def test_every_page_can_be_reached_from_the_index():
    index = (DOCS / "index.md").read_text("utf-8")
    missing = [page for page in DOCS.rglob("*.md") if page.name != "index.md"]
    missing = [named(page) for page in missing if page.relative_to(DOCS).as_posix() not in index]
    assert missing == []


# -------------------------------------------------------------------------------------------------- commands


@pytest.mark.timeout(1800)  # a hundred commands, one after the other
def test_every_command_that_a_guide_shows_does_what_it_says(tmp_path, monkeypatch, capsys):
    """All guides in one folder, in the order in which they are read; a command that was run before is not run again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUMPBENCH_CATALOGUE", str(tmp_path / "catalogue.db"))  # else every later run is taken in too
    monkeypatch.setattr("data.seal.verify", examine)  # in no process of its own, which test_cli.py has the commands do
    shipped, quick = station.SHIPPED, less_often(tmp_path / "less-often")
    done: set[str] = set()
    for guide in GUIDES:
        text = guide.read_text("utf-8")
        for name, content in re.findall(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```", text, flags=re.DOTALL):
            Path(name).write_text(content, "utf-8")
        for line in re.findall(r"^    ((?:\./)?pumpbench .+|cp .+)$", text, flags=re.MULTILINE):
            command, _, remark = line.partition("    #")
            command = command.removeprefix("./").strip()
            if command in done or any(re.search(pattern, command) for pattern in NOT_HERE):
                continue
            done.add(command)
            expected = int(found[1]) if (found := re.search(r"exit code (\d)", remark)) else 0
            is_quick = "run" in command.split()[1:2] and not any(re.search(pattern, command) for pattern in AS_SHIPPED)
            monkeypatch.setattr(station, "SHIPPED", quick if is_quick else shipped)
            code = ran(command)
            out, err = capsys.readouterr()
            assert code == expected, f"{named(guide)}: {command}\n{err}{out}"
    assert len(done) > 20


def less_often(folder: Path) -> Path:
    """A folder with the shipped stations, read less often."""
    folder.mkdir()
    for path in station.SHIPPED.glob("*.toml"):
        text = path.read_text("utf-8")
        for old, new in LESS_OFTEN:
            text = text.replace(old, new)
        (folder / path.name).write_text(text, "utf-8")
    return folder


def ran(command: str) -> int:
    """Exit code of a command line, in a short form where it makes a run."""
    words = shlex.split(command)
    if words[0] == "cp":
        shutil.copy(ROOT / words[1], words[2])
        return 0
    args = words[1:]
    if args[0] == "demo":
        args = ["run", "flow-accuracy", "--station", "sim", *args[1:]]
    short = SHORTENED.get(" ".join(args[:2]), {})
    args += [word for name, value in short.items() for word in ("--set", f"{name}={value}")]
    with pytest.raises(SystemExit) as end:
        main(args)
    code = end.value.code
    assert isinstance(code, int)
    return code


# ------------------------------------------------------------------------------------------------- reference


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_has_every_option_of_a_command_and_no_other(name):
    command = cli.get_command(click.Context(cli), name)
    text = sections(DOCS / "reference" / "cli.md")[f"`{name}`"]
    if name == "analyse":
        text = "\n".join(page.read_text("utf-8") for page in sorted((DOCS / "reference").glob("analyse*.md")))
    commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    params = [param for each in commands for param in each.params]
    there = {option for param in params for option in param.opts if option.startswith("--")}
    told = {option.split()[0] for option in rows(text) if option.startswith("--")}
    assert told == there - {"--help"}


@pytest.mark.parametrize("heading", MODELS)
def test_the_reference_has_every_key_of_a_station_file_and_no_other(heading):
    told = rows(sections(DOCS / "reference" / "station-files.md")[heading])
    keys = {field.alias or name: field for name, field in MODELS[heading].model_fields.items()}
    assert set(told) == set(keys)
    assert {key for key, cells in told.items() if cells[0] == "required"} == {
        key for key, field in keys.items() if field.is_required()
    }


def written(default: object) -> str | None:
    """A parameter's default as a person types it; None for a parameter that has none, or an empty one."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return None if default in (None, "") else str(default)


@pytest.mark.parametrize("name", procedure_names())
def test_the_reference_has_every_parameter_and_role_of_a_protocol(name):
    kind = load_procedure(name)
    params, _, roles = sections(DOCS / "reference" / "protocols.md")[f"`{name}`"].partition("| role |")
    told, parts = rows(params), rows(roles.partition("| check |")[0])
    for param in kind.params.values():
        default, low, high = (cell.strip("`") or None for cell in told[param.short_name][:3])
        assert (default, low, high) == (written(param.default), param.low, param.high)
    for role in kind.roles:
        assert (parts[role.role][0] == "required") == (not role.optional)


def test_the_reference_has_every_driver():
    page = (DOCS / "reference" / "drivers.md").read_text("utf-8")
    drivers = {module.name.replace("_", "-") for module in pkgutil.iter_modules(instruments.drivers.__path__)}
    assert {driver for driver in drivers if f"`{driver}`" not in page} == set()


def test_the_reference_has_every_simulated_device_and_no_other():
    told = rows(sections(DOCS / "reference" / "station-files.md")["`[simulation.visa]`"])
    found = pkgutil.iter_modules(instruments.simulation.devices.__path__)
    assert set(told) - {"device"} == {module.name.replace("_", "-") for module in found if not module.ispkg}


def test_the_reference_has_every_key_of_the_simulated_wiring_and_no_other():
    told = rows(sections(DOCS / "reference" / "station-files.md")["`[simulation.daq.wiring]`"])
    assert set(told) == {field.name for field in fields(Wiring)}


def test_the_reference_has_every_kind_of_record_that_a_run_writes_and_no_other():
    text = (DOCS / "reference" / "journal.md").read_text("utf-8").partition("### Records that a run writes")[2]
    code = "".join(path.read_text("utf-8") for path in sorted((ROOT / "bench").rglob("*.py")))
    assert set(rows(text)) == set(re.findall(r'record(?:_soon)?\(\s*"([a-z-]+)"', code))


def test_the_protocol_of_the_how_to_is_one(tmp_path, monkeypatch):
    text = (DOCS / "howto" / "new-protocol.md").read_text("utf-8")
    code = re.search(r"<!-- file: zero_check.py -->\n```python\n(.*?)```", text, flags=re.DOTALL)
    assert code is not None
    (tmp_path / "zero_check.py").write_text(code[1], "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    from zero_check import PROCEDURE  # the file that the how-to shows

    from bench import closing, session

    monkeypatch.setattr("bench.request.load_procedure", lambda _: PROCEDURE)
    monkeypatch.setattr(closing, "load_procedure", lambda _: PROCEDURE)
    result = session.conduct(session.Request("zero-check", "sim", {"settle": "1 min"}, out=tmp_path))
    (check,) = result.evaluation.checks
    assert check.limit_high == parse("2 uL/h", "flow")
    assert check.value == pytest.approx(0.0, abs=2.0)


def test_the_numbers_of_a_run_can_be_computed_by_hand_as_the_how_to_shows(tmp_path, monkeypatch, capsys):
    text = (DOCS / "howto" / "review-a-run.md").read_text("utf-8")
    code = re.search(r"<!-- file: by_hand.py -->\n```python\n(.*?)```", text, flags=re.DOTALL)
    assert code is not None
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    shutil.copy(ROOT / "tests" / "runs" / "flow-accuracy-4.h5", "runs/flow-accuracy_sim_SIMULATED_0001.h5")
    exec(compile(code[1], "by_hand.py", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["error", "u", "linearity"]
    for line in lines:
        by_hand, in_the_file = re.findall(r"([-\d.]+) %", line)
        assert by_hand == in_the_file
