"""The launcher: what it installs when, and what it leaves when it is cut off, cannot, or meets another of itself."""

import ast
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[1] / "pumpbench"
STAND_IN = """
import os, sys
print(sys.argv[1:], os.path.realpath(os.getcwd()), os.environ.get("PYTHONPATH"), sys.flags.safe_path)
print("keeps bytecode:", not sys.dont_write_bytecode)
sys.exit(7)
"""


def load(path):
    """The launcher of a folder as a module; it has no file ending.  It sets up the folder that it lies in."""
    loader = SourceFileLoader("pumpbench_launcher", str(path))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.fixture
def checkout(tmp_path):
    """A folder with a blank in its name that holds the locks and a bench that tells how it was called."""
    folder = tmp_path / "a check out"
    (folder / "bench" / "cli").mkdir(parents=True)
    (folder / "bench" / "__init__.py").touch()
    (folder / "bench" / "cli" / "__init__.py").touch()
    (folder / "bench" / "cli" / "__main__.py").write_text(STAND_IN)
    (folder / "pyproject.toml").write_text("[project]\n")
    (folder / "requirements.lock").write_text("numpy==2 \\\n    --hash=sha256:0\nscipy==1 \\\n    --hash=sha256:0\n")
    (folder / "requirements-test.lock").write_text("pytest==9 \\\n    --hash=sha256:0\n")
    (folder / "pumpbench").write_bytes(LAUNCHER.read_bytes())
    return folder


@pytest.fixture
def launcher(checkout, monkeypatch):
    """The launcher in that folder, whose commands are noted and not run."""
    module = load(checkout / "pumpbench")
    assert str(checkout.resolve() / ".venv") == module.VENV  # and no other: what is half made there gets removed
    module.commands = []
    module.fail = None

    def run(command, environment=None):
        module.commands.append(command)
        if "venv" in command:
            python = Path(module.VENV_PYTHON)
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
        if module.fail is not None and module.fail in command:
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module, "hand_over", lambda command: module.commands.append(command) or 0)
    monkeypatch.setattr(module, "missing_qt_libraries", list)
    return module


def installed(launcher):
    """What the commands since the last call were for."""
    found = [Path(command[-1]).name if "pip" in command else command[-2] for command in launcher.commands[:-1]]
    launcher.commands.clear()
    return found


def test_the_first_start_installs_and_the_second_just_starts(launcher, checkout):
    assert launcher.main(["demo"]) == 0
    assert launcher.commands[-1][1:] == ["-P", "-m", "bench.cli", "demo"]
    assert installed(launcher) == ["venv", "requirements.lock", checkout.name]
    assert launcher.main(["demo", "--out", "x"]) == 0
    assert installed(launcher) == []


def test_the_test_command_adds_its_group_once_and_runs_the_whole_suite(launcher, checkout, monkeypatch):
    monkeypatch.chdir(checkout.parent)
    launcher.main(["demo"])
    installed(launcher)
    launcher.main(["test"])
    assert launcher.commands[-1][2:6] == ["-m", "pytest", "-n", "auto"]
    assert installed(launcher) == ["requirements-test.lock"]
    launcher.main(["test", "tests/data", "-q"])
    assert launcher.commands[-1][-2:] == ["tests/data", "-q"]
    assert installed(launcher) == []
    assert Path.cwd() == checkout


@pytest.mark.parametrize(
    ("args", "spread"),
    [
        ([], True),
        (["tests/data", "-q"], True),
        (["--ignore=tests/test_docs.py", "-k", "flow"], True),
        (["tests/test_docs.py"], False),
        (["-x", "tests/test_docs.py::test_every_page_can_be_reached_from_the_index"], False),
        (["-n", "3"], False),
        (["-n0", "tests/data"], False),
        (["-p", "no:xdist"], False),
    ],
)
def test_the_suite_takes_all_cores_unless_a_file_is_named_or_a_person_says_otherwise(args, spread, launcher):
    launcher.main(["test", *args])
    command = launcher.commands[-1][2:]
    assert (command[2:4] == ["-n", "auto"]) is spread
    assert command[: len(command) - len(args)] + args == command


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_is_installed_again_and_nothing_else(name, launcher, checkout):
    launcher.main(["demo"])
    installed(launcher)
    with (checkout / name).open("a") as file:
        file.write("# changed\n")
    launcher.main(["demo"])
    assert installed(launcher) == [name if name.endswith(".lock") else checkout.name]


def test_other_line_ends_are_no_other_lock(launcher, checkout):
    before = launcher.digest("run")
    lock = checkout / "requirements.lock"
    lock.write_bytes(lock.read_bytes().replace(b"\n", b"\r\n"))
    assert launcher.digest("run") == before


@pytest.mark.parametrize("at", ["venv", "--require-hashes", "--editable"])
def test_an_install_that_was_cut_off_begins_anew(at, launcher, checkout, capsys):
    launcher.fail = at
    assert launcher.main(["demo"]) == 2
    half = Path(launcher.VENV, "half-installed")
    half.touch()
    installed(launcher)
    launcher.fail = None
    assert launcher.main(["demo"]) == 0
    assert installed(launcher) == ["venv", "requirements.lock", checkout.name]
    assert not half.exists()
    assert "cut off" in capsys.readouterr().err


def test_a_test_group_that_was_cut_off_is_not_left_half_there_for_a_demo(launcher, checkout):
    launcher.main(["demo"])
    launcher.fail = str(checkout / "requirements-test.lock")
    assert launcher.main(["test"]) == 2
    installed(launcher)
    launcher.fail = None
    assert launcher.main(["demo"]) == 0
    assert installed(launcher) == ["venv", "requirements.lock", checkout.name]


@pytest.mark.parametrize("what", ["home", "python"])
def test_a_venv_that_was_moved_or_lost_its_interpreter_is_made_anew(what, launcher, checkout):
    launcher.main(["demo"])
    installed(launcher)
    state = launcher.read_state()
    state[what] = "/elsewhere"
    launcher.write_state(state)
    launcher.main(["demo"])
    assert installed(launcher) == ["venv", "requirements.lock", checkout.name]


def test_a_venv_that_somebody_else_made_is_added_to_and_not_removed(launcher):
    other = Path(launcher.VENV, "lib", "somebody's")
    other.mkdir(parents=True)
    launcher.main(["demo"])
    assert other.exists()
    assert "requirements.lock" in installed(launcher)


def test_a_failing_pip_is_one_sentence_and_the_next_start_tries_again(launcher, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(launcher, "run", lambda command, environment=None: int("pip" in command))
        patch.setattr(launcher, "interpreter", lambda: "x")
        assert launcher.main(["demo"]) == 2
    assert "pip could not install requirements.lock" in capsys.readouterr().err
    assert launcher.main(["demo"]) == 0


def test_a_folder_that_cannot_be_written_is_one_clear_sentence(launcher, checkout, capsys):
    (checkout / ".venv.lock").mkdir()  # as good as read-only, for root too
    assert launcher.main(["demo"]) == 2
    said = capsys.readouterr().err
    assert str(checkout) in said
    assert "read-only" in said
    assert said.count("\n") == 1


def test_what_another_start_has_installed_meanwhile_is_not_installed_again(launcher, monkeypatch):
    launcher.main(["demo"])
    complete = launcher.read_state()
    launcher.write_state({})
    installed(launcher)
    monkeypatch.setattr(launcher, "hold", lambda handle: launcher.write_state(complete))
    launcher.main(["demo"])
    assert installed(launcher) == []


def test_only_one_start_at_a_time_sets_up(launcher, tmp_path):
    lock = tmp_path / "lock"
    hold = "runpy.run_path(sys.argv[2])['hold'](file.fileno())"
    code = f"import sys, runpy; file = open(sys.argv[1]); {hold}; print(file.read())"
    with lock.open("w", encoding="utf-8") as held:
        launcher.hold(held.fileno())
        command = [sys.executable, "-c", code, str(lock), str(LAUNCHER)]
        second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "waiting for another start" in second.stderr.readline()
        subprocess.run([sys.executable, "-c", "pass"], check=True)  # setting up takes a while
        held.write("set up")
    assert second.communicate() == ("set up\n", "")


# ------------------------------------------------------------------------------------------ Python, Qt, apt-get


def test_an_old_python_can_read_the_launcher():
    ast.parse(LAUNCHER.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_the_first_python_that_fits_is_taken(launcher, monkeypatch):
    answers = {"old": ((3, 9), True), "new": ((3, 14), True), "broken": (None, False), "right": ((3, 12), True)}
    monkeypatch.setattr(launcher, "candidates", lambda: list(answers))
    monkeypatch.setattr(launcher, "probe", answers.get)
    assert launcher.find_python() == "right"


def test_without_a_python_that_fits_there_is_one_sentence(launcher, monkeypatch, capsys):
    monkeypatch.setattr(launcher, "candidates", list)
    assert launcher.main(["demo"]) == 2
    assert "needs Python 3.11 to 3.13" in capsys.readouterr().err


def test_debians_python_without_venv_gets_its_package(launcher, monkeypatch):
    asked = []
    monkeypatch.setattr(launcher, "candidates", lambda: ["/usr/bin/python3"])
    monkeypatch.setattr(launcher, "probe", lambda path: ((3, 11), bool(asked)))
    monkeypatch.setattr(launcher, "apt_install", lambda packages: asked.extend(packages) or True)
    assert launcher.find_python() == "/usr/bin/python3"
    assert asked == ["python3.11-venv"]


def test_this_python_is_a_candidate_that_fits(launcher):
    assert launcher.candidates()[0] == sys.executable
    assert launcher.probe(sys.executable) == (sys.version_info[:2], True)
    assert launcher.probe(str(LAUNCHER.parent / "README.md")) == (None, False)


def test_missing_libraries_are_installed_and_looked_for_again(launcher, monkeypatch):
    found = iter([["libxcb-cursor.so.0", "libEGL.so.1"], []])
    asked = []
    monkeypatch.setattr(launcher, "missing_qt_libraries", lambda: next(found))
    monkeypatch.setattr(launcher, "apt_install", lambda packages: asked.extend(packages) or True)
    launcher.main(["demo"])
    assert asked == ["libegl1", "libxcb-cursor0"]
    assert launcher.read_state()["qt"] == ""


def test_who_may_not_install_gets_the_line_and_all_but_the_window_goes_on(launcher, monkeypatch, capsys):
    missing = ["libxcb-cursor.so.0"]
    monkeypatch.setattr(launcher, "missing_qt_libraries", lambda: missing)
    monkeypatch.setattr(launcher, "apt_install", lambda packages: False)
    line = "apt-get install -y --no-install-recommends libxcb-cursor0"
    assert launcher.main(["demo"]) == 0
    assert line in capsys.readouterr().err
    assert launcher.main(["demo"]) == 0
    assert capsys.readouterr().err == ""
    assert launcher.main(["gui"]) == 2
    assert line in capsys.readouterr().err
    missing.clear()
    assert launcher.main(["gui"]) == 0
    missing.append("not looked for again")
    assert launcher.main(["gui"]) == 0


def test_root_calls_apt_get_itself_and_others_through_sudo(launcher, monkeypatch):
    calls = []
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(launcher, "quietly", lambda command: calls.append(command) or (0, ""))
    for uid, begin in ((0, "env"), (1000, "/usr/bin/sudo")):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid, raising=False)
        assert launcher.apt_install(["libegl1"])
        update, install = calls[-2:]
        assert update[0] == install[0] == begin
        assert update[-1] == "update"
        assert install[-4:] == ["install", "-y", "--no-install-recommends", "libegl1"]


def test_a_failed_apt_get_says_what_it_said(launcher, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(launcher, "quietly", lambda command: (100, "E: no such package"))
    assert not launcher.apt_install(["libegl1"])
    assert "E: no such package" in capsys.readouterr().err


@pytest.mark.parametrize("gone", ["apt-get", "sudo"])
def test_without_apt_get_or_sudo_nothing_is_installed(gone, launcher, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None if name == gone else "/usr/bin/" + name)
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert not launcher.apt_install(["libegl1"])


# ------------------------------------------------------------------------------------------------- a real start


def test_a_ready_bench_starts_from_anywhere_with_its_arguments_and_exit_code(launcher, checkout, tmp_path):
    python = Path(launcher.VENV_PYTHON)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", launcher.VENV], check=True)
    site = next(Path(launcher.VENV).glob("**/site-packages"))
    (site / "here.pth").write_text(str(checkout))
    ready = {name: launcher.digest(name) for name in ("run", "project")}
    launcher.write_state({"home": str(checkout.resolve()), "python": os.path.realpath(python), "qt": "", **ready})
    done = subprocess.run(
        [sys.executable, str(checkout / "pumpbench"), "run", "a b", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "/somebody's", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"['run', 'a b', '--json'] {tmp_path.resolve()} None True"
    assert done.stdout.splitlines() == [said, "keeps bytecode: True"]
    assert done.stderr == ""
    assert done.returncode == 7
