"""The floors of the bench hold, and what guards them notices each breach."""

import re
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FLOORS = ("gui", "bench", "protocols", "instruments", "data")
WITHOUT_QT = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(["PyQt6", "pyqtgraph"]))  # whoever imports them fails
for floor in ("data", "instruments", "protocols", "bench"):
    for found in pkgutil.walk_packages(importlib.import_module(floor).__path__, floor + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
        print(found.name)
"""

# a module that imports another against a contract -> what import-linter must say
BREACHES = {
    ("data.samples", "protocols.steps"): "imports go down the stair",
    ("instruments.visa", "bench.station"): "imports go down the stair",
    ("protocols.steps", "gui.presenters.trace"): "imports go down the stair",
    ("data.layout", "data.run"): "inside data",
    ("data.quantities", "data.schedule"): "inside data",
    ("data.attic", "math"): "inside data",
    ("bench.engine", "instruments.simulation.plant"): "only the station builds a simulated rig",
    ("protocols.steps", "instruments.simulation"): "only the station builds a simulated rig",
    ("instruments.simulation.plant", "data.quantities"): "the simulation shares nothing",
    ("instruments.simulation.devices.scale", "instruments.visa"): "the simulation shares nothing",
    ("instruments.simulation.plant", "instruments.drivers.scale"): "the simulation shares nothing",
    ("bench.engine", "pyqtgraph"): "never reach Qt",
    ("gui.presenters.trace", "PyQt6.QtCore"): "never reach Qt",
    ("gui.presenters.run", "gui.views.main"): "never reach Qt",
    ("gui.session", "PyQt6.QtCore"): "in gui only views",
    ("gui.app", "grpc"): "the window talks to no instrument",
    ("gui.views.main", "h5py"): "the window talks to no instrument",
}
ALLOWED = {
    ("gui.views.main", "PyQt6.QtWidgets"),
    ("gui.app", "PyQt6.QtWidgets"),
    ("bench.station", "instruments.simulation.plant"),
    ("instruments.simulation.plant", "instruments.clock.virtual"),
    ("instruments.visa", "pyvisa"),
}


def plant_tree(root: Path, imports: set[tuple[str, str]]) -> None:
    """Write the packages, every module that a contract names, and modules with the given imports."""
    lines: dict[str, list[str]] = {floor: [] for floor in FLOORS}
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    for layer in next(c for c in contracts if c.get("containers") == ["data"])["layers"]:
        lines |= {f"data.{name}": [] for name in re.findall(r"\w+", layer)}
    for module, imported in imports:
        lines.setdefault(module, []).append(f"import {imported}\n")
        if imported.split(".")[0] in FLOORS:
            lines.setdefault(imported, [])
    packages = {*FLOORS, *(parent for module in lines for parent in parents(module))}
    for module in {*lines, *packages}:
        stem = root.joinpath(*module.split("."))
        path = stem / "__init__.py" if module in packages else stem.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines.get(module, [])), encoding="utf-8")


def parents(module: str) -> list[str]:
    """Packages that a module is in."""
    parts = module.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def linted(folder: Path) -> tuple[int, str]:
    """Exit code and words of import-linter with the project's contracts on the packages of a folder."""
    code = (
        "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    command = [sys.executable, "-c", code, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_floors_hold():
    code, words = linted(ROOT)
    assert code == 0, words


def test_imports_that_the_contracts_allow_pass(tmp_path):
    plant_tree(tmp_path, ALLOWED)
    code, words = linted(tmp_path)
    assert code == 0, words


@pytest.mark.parametrize("contract", sorted(set(BREACHES.values())))
def test_a_contract_notices_each_breach(contract, tmp_path):
    breaches = {imports for imports, broken in BREACHES.items() if broken == contract}
    plant_tree(tmp_path, breaches | ALLOWED)
    code, words = linted(tmp_path)
    _, _, broken = words.partition("Broken contracts")
    assert code == 1
    assert re.search(rf"{contract}.* BROKEN", words)
    for module, imported in breaches:
        assert module in broken, f"nothing says that {module} imports {imported}"


def imported_in_turn(graph: grimp.ImportGraph) -> list[str]:
    """Modules that need each other to be imported, as a closed chain; empty when there are none."""
    needs = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_two_modules_need_each_other(tmp_path, monkeypatch):
    assert imported_in_turn(grimp.build_graph(*FLOORS, exclude_type_checking_imports=True, cache_dir=None)) == []
    plant_tree(tmp_path, {("attic.stair", "attic.loft"), ("attic.loft", "attic.door"), ("attic.door", "attic.stair")})
    monkeypatch.syspath_prepend(tmp_path)
    found = imported_in_turn(grimp.build_graph("attic", cache_dir=None))
    assert set(found) == {"attic.stair", "attic.loft", "attic.door"}


def test_all_below_the_window_imports_without_qt():
    done = subprocess.run([sys.executable, "-c", WITHOUT_QT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "bench.engine" in done.stdout.split()


def test_no_installed_package_has_the_name_of_one_of_ours():
    for floor in FLOORS:
        assert set(packages_distributions().get(floor, [])) <= {"pumpbench"}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_names_hashes_and_no_place(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z])", text)
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?://|file:|--index-url|--find-links|\s/", text)


def test_the_full_lock_names_the_public_index_alone():
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    sources = {tuple(package["source"].items()) for package in lock["package"]}
    assert sources == {(("registry", "https://pypi.org/simple"),), (("editable", "."),)}
    for package in lock["package"]:
        for file in [*package.get("wheels", []), package.get("sdist")]:
            assert file is None or file["url"].startswith("https://files.pythonhosted.org/")


@pytest.mark.parametrize(
    ("lock", "groups"), [("requirements.lock", ("build",)), ("requirements-test.lock", ("test", "lint"))]
)
def test_a_lock_holds_what_the_project_asks_for(lock, groups):
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    locked = {canonicalize_name(name): version for name, version in pins}
    asked = [line for group in groups for line in PROJECT["dependency-groups"][group]]
    if "build" in groups:
        asked += PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement
