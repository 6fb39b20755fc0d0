"""``pumpbench recipes``: procedures with fixed parameters and limits, in versioned files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.paths import FilePath, Name
from bench.cli.run import pair
from bench.cli.trust import passphrase
from bench.state_folder import home

if TYPE_CHECKING:
    from bench.recipe import Loaded
    from protocols.procedure import Procedure

HEAD = """# A recipe: what stands here is fixed in every run that uses it; remove a line, and it may be chosen again.
# Approved by: pumpbench recipes approve {file} --as USER --reason "..."
"""

LIMITS = """
# Limits that stand in place of those of the pump's file, each with its source:
# [limits.mean]
# low = "-10 %"
# high = "10 %"
# source = "test plan TP-12, section 4"
# revision = "A"
"""


@click.group()
def recipes() -> None:
    """Write, check, compare and approve recipes: protocols with fixed parameters and limits."""


@recipes.command("new")
@click.argument("protocol")
@click.option("--name", type=Name(), required=True, help="Name of the recipe.")
@click.option("--version", default="1", show_default=True, help="Its version.")
@click.option("--author", type=Name(), required=True, help="Who writes it; somebody else approves it.")
@click.option(
    "--dut", "duts", type=Name(), multiple=True, required=True, metavar="MODEL", help="A pump model that it is for."
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter other than its default.")
@click.option("--out", type=FilePath(), required=True, help="File to make (.toml).")
def new(
    protocol: str, name: str, version: str, author: str, duts: Sequence[str], settings: Sequence[str], out: Path
) -> int:
    """Write a recipe of PROTOCOL with every parameter as it would be now, to be edited."""
    from bench.recipe import load_recipe
    from protocols.procedure import load_procedure

    kind = load_procedure(protocol)
    given = {kind.param_name(key): value for key, value in map(pair, settings)}
    head = {"name": name, "version": version, "author": author, "protocol": kind.name}
    lines = [f"{key} = {_toml(value)}" for key, value in head.items()]
    lines += [f"method = {kind.method}", f"duts = {_toml(list(duts))}", "", "[params]", *_params(kind, given)]
    if out.exists():
        raise click.UsageError(f"{out} exists; choose another --out")
    text = HEAD.format(file=out.name) + "\n".join(lines) + "\n" + LIMITS
    try:
        out.write_text(text, "utf-8")
        load_recipe(out)
    except (ValueError, OSError):
        out.unlink(missing_ok=True)
        raise
    click.echo(f"{out}: edit it, then: pumpbench recipes check {out}")
    return 0


@recipes.command("list")
@click.argument("folder", type=FilePath(), default=Path())
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def list_recipes(folder: Path, as_json: bool) -> int:
    """List the recipes (.toml) in FOLDER, the current one without it; other files are passed over."""
    from bench.recipe import load_recipe

    if not folder.is_dir():
        raise click.UsageError(f"{folder}: there is no such folder; give the folder of the recipes")
    rows = []
    for path in sorted(folder.glob("*.toml")):
        if not _is_recipe(path):
            continue
        try:
            loaded = load_recipe(path)
            rows.append({"file": str(path), "protocol": loaded.recipe.protocol, **loaded.to_json()})
        except ValueError as error:
            rows.append({"file": str(path), "approved": False, "approval": f"cannot be used: {error}"})
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        named = f"{row['name']}, version {row['version']} ({row['protocol']})" if "name" in row else ""
        click.echo(f"{row['file']}: {named}".rstrip(": "))
        click.echo(f"  {row['approval']}")
    return 0


@recipes.command("check")
@click.argument("files", nargs=-1, required=True, type=FilePath())
def check(files: Sequence[Path]) -> int:
    """Check recipe FILES: whether they can be used, and how far their approval counts."""
    from bench.recipe import load_recipe

    for path in files:
        _show(load_recipe(path))
    return 0


@recipes.command("diff")
@click.argument("one", type=FilePath())
@click.argument("other", type=FilePath())
def diff(one: Path, other: Path) -> int:
    """Show what two recipes say differently; exit code 1 when anything is."""
    from bench.recipe import differences, load_recipe

    found = list(differences(load_recipe(one), load_recipe(other)))
    for key, before, after in found:
        click.echo(f"{key}: {before or 'nothing'} -> {after or 'nothing'}")
    return 1 if found else 0


@recipes.command("approve")
@click.argument("file", type=FilePath())
@click.option("--as", "who", required=True, metavar="USER", help="Who approves it: a QA person, not its author.")
@click.option("--reason", required=True, help="Why; it stands beside the signature.")
@click.option("--passphrase-file", type=FilePath(), help="Holds the passphrase; it is asked for without.")
def approve(file: Path, who: str, reason: str, passphrase_file: Path | None) -> int:
    """Sign recipe FILE as approved; from then on it is refused when it is changed."""
    from bench.recipe import approve as approve_recipe

    _show(approve_recipe(file, who, passphrase(passphrase_file, who), reason, home()))
    return 0


def _show(loaded: Loaded) -> None:
    click.echo(f"{loaded.path}: {loaded.recipe.title}, {loaded.recipe.protocol}, for {', '.join(loaded.recipe.duts)}")
    click.echo(f"  {loaded.state}: {loaded.why}")
    click.echo(f"  fixes {', '.join(sorted(loaded.recipe.params)) or 'no parameter'}")
    click.echo(f"  limits of {', '.join(loaded.limits) or 'the pump file alone'}")
    click.echo(f"  SHA-256 {loaded.sha256}")


def _params(kind: type[Procedure], given: Mapping[str, str]) -> Iterator[str]:
    """A line for each parameter; one that has no default stays free."""
    for name, item in kind.params.items():
        value = given.get(name, item.default)
        yield f"# {item.short_name} =  # {item.help}" if value is None else f"{item.short_name} = {_toml(value)}"


def _toml(value: object) -> str:
    """A value as TOML writes it; strings, lists and numbers as JSON does."""
    return json.dumps(value, ensure_ascii=False)


def _is_recipe(path: Path) -> bool:
    """Whether a TOML file looks like a recipe: a station or a pump names no protocol and method."""
    import tomllib

    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return {"protocol", "method"} <= set(table)
