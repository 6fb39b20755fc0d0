"""A recipe: a procedure with fixed parameters and limits, in a versioned file that a QA person approves.

What is approved is what the file says, not how it is laid out: the SHA-256 of all but ``[approval]`` as canonical JSON.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictInt

from data.dut import AccuracyLimits
from data.keys import digest_of, is_signed
from data.quantity_fields import Stated
from data.tomlfile import FileError, read_toml
from protocols.procedure import ParamError, Procedure, load_procedure

APPROVAL = "approval"

State = Literal["approved", "unsigned", "unproven"]


class RecipeError(ValueError):
    """A recipe that cannot be used, or something that it does not allow; the sentence says what to do."""


class Approval(Stated):
    """The signature block: who approved which content, and when; made by `approve`."""

    kind: Literal["recipe"]
    user: str
    name: str
    role: str
    meaning: Literal["approved"]
    reason: str
    when: str
    sha256: str
    key: str
    signature: str


class Recipe(Stated):
    """A recipe file (docs/howto/recipes.md)."""

    name: str = Field(examples=["basal accuracy"], min_length=1)
    version: str = Field(examples=["1"], min_length=1)
    author: str = Field(examples=["j.doe"], min_length=1)
    protocol: str = Field(examples=["flow-accuracy"], min_length=1)
    method: StrictInt = Field(examples=[3], ge=1)
    duts: tuple[str, ...] = Field(examples=[["SIM-20"]], min_length=1)
    note: str = ""
    params: dict[str, str | bool | int | float] = Field({}, examples=[{"analysis": "25 h"}])
    limits: AccuracyLimits = AccuracyLimits()
    approval: Approval | None = None

    @property
    def title(self) -> str:
        """Name and version, as people say it."""
        return f"{self.name}, version {self.version}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A recipe that was read, with the SHA-256 of what it says and how far its approval counts.

    ``why`` tells a person what ``state`` rests on.
    """

    path: Path
    recipe: Recipe
    sha256: str
    state: State
    why: str

    @property
    def fixed(self) -> dict[str, str]:
        """Parameters that it fixes, by full name, as people type them."""
        kind = load_procedure(self.recipe.protocol)
        return {kind.param_name(name): _typed(value) for name, value in self.recipe.params.items()}

    @property
    def limits(self) -> dict[str, Any]:
        """Limits that it sets, in our units, by the names of `data.dut.AccuracyLimits`."""
        said = self.recipe.limits.model_dump(mode="json")
        return {name: said[name] for name in sorted(self.recipe.limits.model_fields_set)}

    def to_json(self) -> dict[str, Any]:
        """What a run's header keeps of it."""
        approval = self.recipe.approval
        return {
            "name": self.recipe.name,
            "version": self.recipe.version,
            "author": self.recipe.author,
            "sha256": self.sha256,
            "approved": self.state == "approved",
            "approval": self.why,
            "approved_by": approval.name if approval is not None and self.state == "approved" else "",
            "approved_when": approval.when if approval is not None and self.state == "approved" else "",
            "fixed": sorted(self.fixed),
            "limits": sorted(self.limits),
        }


def load_recipe(path: Path, home: Path | None = None) -> Loaded:
    """Read and check a recipe.

    Parameters
    ----------
    home : state folder that knows the persons; the computer's own by default.

    Raises
    ------
    FileError
        The file cannot be read or says something that a recipe does not.
    RecipeError
        It was changed after its approval, is for another method, or fixes what its protocol does not have.
    """
    recipe = read_toml(path, Recipe)
    table = tomllib.loads(path.read_text("utf-8-sig"))
    sha256 = digest_of(_plain({key: value for key, value in table.items() if key != APPROVAL}))
    _fits(path, recipe)
    state, why = _approval(path, recipe, sha256, home)
    return Loaded(path, recipe, sha256, state, why)


def insist(loaded: Loaded, kind: type[Procedure], settings: Mapping[str, str]) -> None:
    """Refuse what a recipe does not allow; raises RecipeError with one sentence.

    Parameters
    ----------
    settings : parameters that a person set, by full name.
    """
    recipe = loaded.recipe
    if kind.name != recipe.protocol:
        raise RecipeError(
            f'{loaded.path}: recipe "{recipe.title}" is for {recipe.protocol}, not for {kind.name}; '
            "leave the protocol out, or choose another recipe"
        )
    for name in settings:
        if name in loaded.fixed:
            short = kind.params[name].short_name
            raise RecipeError(
                f'--set {short}: recipe "{recipe.title}" fixes it to {loaded.fixed[name]}; leave the option out, or '
                "run without the recipe"
            )


def insist_on_pump(loaded: Loaded, model: str) -> None:
    """Refuse a pump for which a recipe is not; raises RecipeError."""
    recipe = loaded.recipe
    if model not in recipe.duts:
        raise RecipeError(
            f'{loaded.path}: recipe "{recipe.title}" is for {", ".join(recipe.duts)}, not for {model}; choose another '
            "recipe or pump"
        )


def approve(path: Path, who: str, passphrase: str, reason: str, home: Path) -> Loaded:
    """Sign a recipe as approved: its signature block is written at its end, and noted in the audit trail.

    Raises
    ------
    RecipeError, FileError
        The recipe cannot be used, or this person may not approve it.
    bench.trust.ledger.TrustError
        The person is unknown, or the passphrase is wrong.
    """
    from bench.trust import ledger
    from bench.trust.keys import MEASURED, note, own_key
    from bench.trust.users import unlocked, user

    loaded = load_recipe(path, home)
    recipe, one = loaded.recipe, user(home, who)
    if recipe.approval is not None:
        raise RecipeError(f"{path}: it has an [approval] already; a changed recipe gets a new version and no block")
    if one.role != "QA":
        raise RecipeError(f"{one.name} is {one.role}; a recipe is approved by a person with the role QA")
    if recipe.author.casefold() in (one.id.casefold(), one.name.casefold()):
        raise RecipeError(f"{one.name} is the author of {path.name}; another QA person approves it")
    if not reason.strip():
        raise RecipeError("the reason is missing; it stands beside the signature")
    one, key = unlocked(home, who, passphrase)
    with ledger.alone(home):
        when = ledger.now().isoformat(timespec="milliseconds")
        said = {"kind": "recipe", "user": one.id, "name": one.name, "role": one.role, "meaning": "approved"}
        row = key.signed({**said, "reason": reason.strip(), "when": when, "sha256": loaded.sha256})
        text = path.read_text("utf-8-sig").rstrip("\n")
        block = "\n".join(f"{name} = {_quoted(value)}" for name, value in row.items())
        path.write_text(f"{text}\n\n[{APPROVAL}]\n{block}\n", "utf-8")
        what = f"recipe {recipe.name} {recipe.version}"
        note(home, own_key(home, MEASURED), what, reason.strip(), new=dict(row), who=one.id)
    return load_recipe(path, home)


def differences(one: Loaded, other: Loaded) -> Iterator[tuple[str, str, str]]:
    """What two recipes say differently: the key, and what each says, empty for nothing."""
    first, second = (dict(_leaves(each.recipe.model_dump(mode="json", exclude_none=True))) for each in (one, other))
    for key in dict.fromkeys((*first, *second)):
        if first.get(key) != second.get(key):
            yield key, first.get(key, ""), second.get(key, "")


def _fits(path: Path, recipe: Recipe) -> None:
    """Whether the installed protocol is that for which it was written, and takes its parameters."""
    try:
        kind = load_procedure(recipe.protocol)
        kind(**{name: _typed(value) for name, value in recipe.params.items()})
    except ParamError as error:
        raise RecipeError(f"{path}: {error}") from None
    if kind.method != recipe.method:
        raise RecipeError(
            f"{path}: it was written for method {recipe.method} of {recipe.protocol}, this is method {kind.method}; "
            "read CHANGELOG and issue a new version"
        )


def _approval(path: Path, recipe: Recipe, sha256: str, home: Path | None) -> tuple[State, str]:
    """How far the signature block counts; raises RecipeError where the recipe is not what was approved."""
    said = recipe.approval
    if said is None:
        return "unsigned", "nobody has approved it"
    if said.sha256 != sha256:
        raise RecipeError(
            f"{path}: it was changed after {said.name} approved it on {said.when[:10]}; take the approved file, or "
            f"give it a new version, remove [{APPROVAL}] and have it approved"
        )
    row = said.model_dump()
    if not is_signed(row):
        raise RecipeError(f"{path}: its [{APPROVAL}] was not signed with the key that it names; take the approved file")
    from bench.state_folder import home as usual
    from bench.trust.keys import vouched_rows
    from bench.trust.ledger import AUDIT
    from bench.trust.users import role_claimed, signed_by, users

    persons = users(home or usual())
    broken = vouched_rows(home or usual(), AUDIT)[1]
    if why := signed_by(persons, row) or role_claimed(home or usual(), row) or next(iter(broken), ""):
        return "unproven", f"approved by {said.name} on {said.when[:10]}, but {why}"
    if said.role != "QA":
        return "unproven", f"approved by {said.name}, who was {said.role} and not QA"
    return "approved", f"approved by {said.name} on {said.when[:10]}"


def _plain(value: Any) -> Any:
    """TOML as JSON knows it."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise FileError(f"a recipe cannot hold {value}; write a number")
    return value


def _typed(value: object) -> str:
    """A parameter's value as people type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _quoted(text: object) -> str:
    """A basic string of TOML; what JSON escapes, TOML does in the same way."""
    return json.dumps(str(text), ensure_ascii=False)


def _leaves(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
