"""Which fault is claimed by which check of which protocol: docs/faults.toml, read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import Field, RootModel, ValidationError, model_validator

from data.checks import Owner, Status
from data.quantity_fields import Stated
from data.tomlfile import FileError, explain, read_toml

INTERLOCK = "interlock"
"""Stands before a name in place of a check in a claim: the interlock of that name has to stop the run."""

NAME = "faults.toml"

SHIPPED = Path(__file__).parents[1] / "docs"
CHECKOUT = Path(__file__).parents[2] / "docs"
"""Where the tables lie in an installed bench, and in a checkout."""


class Trial(Stated):
    """How a fault is tried in one protocol; see the head of the file."""

    protocol: str
    check: str = ""
    every: bool = False
    severity: float | dict[str, float] | None = None
    at: str = "0 h"
    forms: tuple[str, ...] = ()
    settings: dict[str, str] = Field({})
    instrument: str = ""
    together: tuple[str, ...] = ()
    ends: Status | None = None

    def severity_in(self, form: str, default: float) -> float:
        """Severity in a form of the protocol; raises FileError when the file states others but not this one."""
        if isinstance(self.severity, Mapping):
            if form not in self.severity:
                there = ", ".join(f'"{name}"' for name in self.severity)
                raise FileError(
                    f'{faults_file()}: a trial in {self.protocol} has a severity for {there}, but not for "{form}"; '
                    "add one, or name its forms"
                )
            return self.severity[form]
        return default if self.severity is None else self.severity


class ClaimedFault(Stated):
    """One fault, and who claims to see it."""

    owner: Owner
    severity: float
    low: float = Field(alias="from")
    high: float = Field(alias="to")
    unit: str
    means: str
    shows: str
    unseen: str = ""
    claims: dict[str, str] = Field({})
    trials: tuple[Trial, ...] = ()

    @model_validator(mode="after")
    def _claimed_or_not(self) -> Self:
        if bool(self.claims) == bool(self.unseen):
            raise ValueError('a fault has either claims or a reason why it is "unseen"; add one, or remove the other')
        if nameless := [protocol for protocol in self.claims if INTERLOCK in self.checks(protocol)]:
            raise ValueError(f'{nameless[0]} claims an "{INTERLOCK}" without its name; write "{INTERLOCK} NAME"')
        for trial in self.trials:
            claimed = self.checks(trial.protocol)
            if trial.every and (trial.check or len(claimed) < 2):
                raise ValueError(
                    f'"every" of a trial in {trial.protocol} needs several claimed checks and no "check"; remove it'
                )
            if trial.check and trial.check not in claimed:
                there = "; ".join(claimed) or "nothing"
                raise ValueError(f'check "{trial.check}" of a trial is not claimed: {trial.protocol} claims {there}')
        return self

    def checks(self, protocol: str) -> tuple[str, ...]:
        """Checks of a protocol that claim to see it, any one of them; none where it claims nothing."""
        return tuple(name.strip() for name in self.claims.get(protocol, "").split(";") if name.strip())

    def tried(self, protocol: str) -> Sequence[Trial]:
        """How it is tried in a protocol: as the file says, else with its default severity from the start."""
        stated = [trial for trial in self.trials if trial.protocol == protocol]
        return stated or ([Trial(protocol=protocol)] if protocol in self.claims else [])

    def protocols(self) -> set[str]:
        """Protocols in which it is tried."""
        return set(self.claims) | {trial.protocol for trial in self.trials}


class _Tables(RootModel[dict[str, dict[str, Any]]]):
    """The file, before its tables are looked at."""


def faults_file() -> Path:
    """The table of faults; raises FileError when the package is not whole."""
    return table_file(NAME)


def table_file(name: str) -> Path:
    """A table of docs/: in the docs/ of a checkout, within this package in an installed bench.

    Raises
    ------
    FileError
        It is in neither place.
    """
    for path in (SHIPPED / name, CHECKOUT / name):
        if path.is_file():
            return path
    raise FileError(f"{SHIPPED / name}: the table is missing; install pumpbench anew, from a whole package")


@cache
def read_faults(path: Path) -> dict[str, ClaimedFault]:
    """Every fault by its name; raises FileError naming the line, the key and the remedy."""
    found = {}
    for name, table in read_toml(path, _Tables).root.items():
        try:
            found[name] = ClaimedFault.model_validate(table)
        except ValidationError as error:
            raise FileError(explain(path, error, model=ClaimedFault, prefix=name)) from None
    return found
