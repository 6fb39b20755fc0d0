"""Commands on what a record is trusted for: ``keys``, ``users``, ``audit`` and ``register``."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.paths import FilePath
from bench.state_folder import home

if TYPE_CHECKING:
    from bench.trust.users import User

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
reason_option = click.option("--reason", required=True, help="Why; it stands in the audit trail.")
by_option = click.option("--by", "by", metavar="USER", help="The person with the role QA who does it.")
by_file_option = click.option("--by-passphrase-file", type=FilePath(), help="Holds that person's.")
new_file_option = click.option("--passphrase-file", type=FilePath(), help="Holds the user's passphrase.")


def passphrase(file: Path | None, whose: str, *, new: bool = False) -> str:
    """A passphrase, from the first line of a file or asked for on the terminal without showing it."""
    if file is not None:
        return _first_line(file)
    if not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask for the passphrase of {whose}; give it in a file")
    said: str = click.prompt(f"Passphrase of {whose}", hide_input=True, confirmation_prompt=new, err=True)
    return said


def _first_line(file: Path) -> str:
    """The first line of a file that holds a passphrase, as editors and shells write it, those of Windows too."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{file}: cannot be read ({error.strerror}); give a file with the passphrase") from None
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        lines = raw.decode("utf-16" if wide else "utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise click.UsageError(f"{file}: is no text in UTF-8; write the passphrase in its first line") from None
    if not lines or not lines[0]:
        raise click.UsageError(f"{file}: its first line is empty; write the passphrase there")
    return lines[0]


@click.group()
def keys() -> None:
    """List, export and trust the keys that seal runs."""


@keys.command("list")
@as_json_option
def keys_list(as_json: bool) -> int:
    """List the keys that count, or counted, here."""
    from bench.trust.keys import KINDS, bench_key, known_keys

    for kind in KINDS:
        bench_key(home(), kind)
    known = known_keys(home())
    if as_json:
        click.echo(json.dumps([{"id": one.id, **_fields(one)} for one in known.values()], indent=1))
        return 0
    for one in known.values():
        whose = "own" if one.own else "trusted"
        revoked = f"  revoked {one.revoked[:10]}: {one.reason}" if one.revoked else ""
        click.echo(f"{one.id}  {one.kind:10}  {whose:7}  {one.since[:10]}  {one.name}{revoked}")
    return 0


@keys.command("export")
@click.option("--unmeasured", is_flag=True, help="The key for runs that are not measured.")
def keys_export(unmeasured: bool) -> int:
    """Print the public half of this bench's key, for other computers to trust."""
    from bench.trust.keys import MEASURED, UNMEASURED, bench_key

    click.echo(bench_key(home(), UNMEASURED if unmeasured else MEASURED).public)
    return 0


@keys.command("trust")
@click.argument("public")
@click.option("--name", required=True, help="The bench whose key it is.")
@click.option("--unmeasured", is_flag=True, help="It is for runs that are not measured.")
@reason_option
def keys_trust(public: str, name: str, unmeasured: bool, reason: str) -> int:
    """Let the PUBLIC key of another bench count here."""
    from bench.trust.keys import MEASURED, UNMEASURED, trust

    made = trust(home(), public, name, UNMEASURED if unmeasured else MEASURED, reason)
    click.echo(f"key {made.id} of {made.name} counts here")
    return 0


@keys.command("revoke")
@click.argument("key")
@reason_option
def keys_revoke(key: str, reason: str) -> int:
    """Let a KEY, given by its id, count no more for runs that were not registered before."""
    from bench.trust.keys import revoke

    click.echo(f"key {revoke(home(), key, reason).id} is revoked")
    return 0


@click.group()
def users() -> None:
    """Add, list and retire the persons who sign runs."""


@users.command("list")
@as_json_option
def users_list(as_json: bool) -> int:
    """List everybody who was ever added."""
    from bench.trust.users import aged
    from bench.trust.users import users as there

    found = there(home()).values()
    if as_json:
        names = ("id", "name", "role", "account", "passphrase_set", "locked", "retired")
        click.echo(json.dumps([{name: getattr(one, name) for name in names} for one in found], indent=1))
        return 0
    for one in found:
        old = "passphrase older than a year" if aged(one) else ""
        state = f"retired {one.retired[:10]}" if one.retired else "locked out" if one.locked else old
        click.echo(f"{one.id:12}  {one.role:8}  {one.name}  {state}".rstrip())
    return 0


@users.command("add")
@click.argument("user")
@click.option("--name", required=True, help="The printed name, as it stands beside signatures.")
@click.option(
    "--role", type=click.Choice(["operator", "engineer", "QA"]), required=True, help="What the person may do."
)
@click.option("--account", default="", help="The account under which the person runs tests on this computer.")
@new_file_option
@by_option
@by_file_option
def users_add(
    user: str,
    name: str,
    role: str,
    account: str,
    passphrase_file: Path | None,
    by: str | None,
    by_passphrase_file: Path | None,
) -> int:
    """Add a person under the id USER, which is never given again.  The first one has the role QA."""
    from bench.trust.users import add

    who = None if by is None else _qa(by, by_passphrase_file)
    made = add(home(), user, name, role, passphrase(passphrase_file, name, new=True), account, who)
    click.echo(f"{made.name} signs as {made.id}, role {made.role}")
    if who is None:
        click.echo("note: add a second QA person: nobody else can let in a QA person who is locked out", err=True)
    return 0


@users.command("role")
@click.argument("user")
@click.option(
    "--role", type=click.Choice(["operator", "engineer", "QA"]), required=True, help="What the person may do."
)
@reason_option
@by_option
@by_file_option
def users_role(user: str, role: str, reason: str, by: str | None, by_passphrase_file: Path | None) -> int:
    """Give a person another role."""
    from bench.trust.users import change_role

    made = change_role(home(), user, role, reason, _qa(by, by_passphrase_file))
    click.echo(f"{made.name} has the role {made.role}")
    return 0


@users.command("retire")
@click.argument("user")
@reason_option
@by_option
@by_file_option
def users_retire(user: str, reason: str, by: str | None, by_passphrase_file: Path | None) -> int:
    """Let a person sign no more; what was signed before stands."""
    from bench.trust.users import retire

    click.echo(f"{retire(home(), user, reason, _qa(by, by_passphrase_file)).name} signs no more")
    return 0


@users.command("unlock")
@click.argument("user")
@reason_option
@by_option
@by_file_option
def users_unlock(user: str, reason: str, by: str | None, by_passphrase_file: Path | None) -> int:
    """Let a person try again who was locked out."""
    from bench.trust.users import unlock

    click.echo(f"{unlock(home(), user, reason, _qa(by, by_passphrase_file)).name} can try again")
    return 0


@users.command("passphrase")
@click.argument("user")
@click.option("--old-passphrase-file", type=FilePath(), help="Holds the passphrase until now.")
@new_file_option
@click.option("--reason", default="", help="Why a QA person gives the user a new key (with --by).")
@by_option
@by_file_option
def users_passphrase(
    user: str,
    old_passphrase_file: Path | None,
    passphrase_file: Path | None,
    reason: str,
    by: str | None,
    by_passphrase_file: Path | None,
) -> int:
    """Change a passphrase; with --by, where it was forgotten: the person gets a new key."""
    from bench.trust.users import change_passphrase, new_key

    if by is not None:
        who = _qa(by, by_passphrase_file)
        new_key(home(), user, passphrase(passphrase_file, user, new=True), reason, who)
        click.echo(f"{user} has a new key and passphrase")
        return 0
    old = passphrase(old_passphrase_file, user)
    change_passphrase(home(), user, old, passphrase(passphrase_file, user, new=True))
    click.echo(f"{user} has a new passphrase")
    return 0


def _qa(by: str | None, file: Path | None) -> User:
    """The person who changes a user, proved by the passphrase."""
    from bench.trust.users import unlocked

    if by is None:
        raise click.UsageError("--by: say which person with the role QA does it")
    return unlocked(home(), by, passphrase(file, by))[0]


@click.group()
def audit() -> None:
    """Show or check the audit trail, to which is only added."""


@audit.command("show")
@click.option(
    "--what", default="", help="Only rows whose subject begins so, such as user, key, override, exclusion, station."
)
@as_json_option
def audit_show(what: str, as_json: bool) -> int:
    """Show who changed what, from what to what, why and when."""
    from bench.trust.ledger import AUDIT, rows_of

    there = rows_of(home(), AUDIT)[0]
    rows = [row for row in there if str(row.get("what", "")).startswith(what)]
    if there and not rows:
        known = sorted({str(row.get("what", "")).partition(" ")[0] for row in there})
        click.echo(f'note: no subject here begins with "{what}"; there are {", ".join(known)}', err=True)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        if not {"number", "when", "who", "what", "why"} <= set(row):
            click.echo("       a row that was changed; see: pumpbench audit verify")
            continue
        when = str(row["when"])
        click.echo(f"{row['number']:5}  {when[:19]}{when[-6:]}  {row['who']}  {row['what']}: {row['why']}")
        for line in differences(row.get("old"), row.get("new")):
            click.echo(f"         {line}")
    return 0


def differences(old: Any, new: Any) -> list[str]:
    """What changed, one line a key; what is a hash alone is only named."""
    if not isinstance(new, Mapping):
        return [f"{new}"] if new is not None else []
    if "keys" in new and "digest" in new:
        before = old["keys"] if isinstance(old, Mapping) else {}
        names = [name for name in sorted({*before, *new["keys"]}) if before.get(name) != new["keys"].get(name)]
        return [f"{old['digest'][:12]} became {new['digest'][:12]}: {', '.join(names)}"] if before else []
    before = old if isinstance(old, Mapping) else {}
    shown = {name: (before.get(name), value) for name, value in new.items() if before.get(name) != value}
    return [f"{name}: {was} became {value}" for name, (was, value) in shown.items() if before and name != "keys"]


@audit.command("accept-clock")
@reason_option
@by_option
@by_file_option
def audit_accept_clock(reason: str, by: str | None, by_passphrase_file: Path | None) -> int:
    """Note that the clock was ahead and is right now, so that runs can be signed again."""
    from bench.trust.clock import accept_clock

    accept_clock(home(), reason, _qa(by, by_passphrase_file))
    click.echo("the audit trail says that the clock was ahead; runs can be signed again")
    return 0


@audit.command("accept")
@click.argument("number", type=click.IntRange(min=1))
@reason_option
@by_option
@by_file_option
def audit_accept(number: int, reason: str, by: str | None, by_passphrase_file: Path | None) -> int:
    """Note that problem NUMBER of `audit verify` is known and stays, so that runs can be signed again."""
    from bench.trust.acceptance import accept_problem

    problem = accept_problem(home(), number, reason, _qa(by, by_passphrase_file))
    click.echo(f"the audit trail says that this is known and stays: {problem}")
    return 0


@audit.command("verify")
def audit_verify() -> int:
    """Tell whether the audit trail and the register are whole, and have noted every change of keys and users."""
    from bench.trust.audit import check_trail
    from bench.trust.ledger import AUDIT, REGISTER, rows_of

    found = check_trail(home())
    for number, problem in enumerate(found.problems, 1):
        click.echo(f"  {number}. {problem}")
    for problem, row in found.accepted.items():
        click.echo(f"  accepted by {row['who']} on {str(row['when'])[:10]} ({row['why']}): {problem}")
    for remark in found.remarks:
        click.echo(f"  note: {remark}")
    for name in (AUDIT, REGISTER):
        rows, _ = rows_of(home(), name)
        click.echo(f"{name}: {len(rows)} rows" + (f", the last one {rows[-1].get('when')}" if rows else ""))
    but = f", but for what QA accepted ({len(found.accepted)})" if found.accepted else ""
    click.echo("altered" if found.problems else f"whole{but}")
    return 1 if found.problems else 0


@click.group()
def register() -> None:
    """Show the register of runs."""


@register.command("list")
@click.option("--station", default="", help="Only runs of this station.")
@as_json_option
def register_list(station: str, as_json: bool) -> int:
    """List the runs by station and number, those that were never closed too, and whether each file is still there."""
    from bench.cli.catalogue import nowhere
    from bench.trust.ledger import REGISTER, rows_of, unclosed

    there = rows_of(home(), REGISTER)[0]
    never = unclosed(there)
    rows = [row for row in there if row.get("kind") in ("run", "altered") or row in never]
    if rows and station and station not in (known := sorted({str(row["station"]) for row in rows})):
        click.echo(f"note: --station: {nowhere(station, known)}", err=True)
    rows = [row for row in rows if station in ("", row["station"])]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        gone = "" if Path(row["path"]).exists() else "  (not there)"
        verdict = "altered" if row["kind"] == "altered" else row.get("verdict", "not closed")
        click.echo(f"{row['station']} {row['run_number']:5}  {row['when'][:16]}  {verdict:16}  {row['path']}{gone}")
    if any(row in never for row in rows):
        click.echo("what is not closed goes on, or was cut off; then: pumpbench recover JOURNAL")
    return 0


@register.command("add")
@click.argument("run_file", type=FilePath())
@reason_option
def register_add(run_file: Path, reason: str) -> int:
    """Take in RUN_FILE, which a key that counts here has sealed and the register has lost."""
    from bench.trust.standing import take_in

    click.echo(f"{run_file}: {take_in(run_file, home(), reason)}")
    return 0


def _fields(one: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(one)
