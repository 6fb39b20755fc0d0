"""The file of a campaign: what is to be run, decided beforehand, and the re-tests that were granted since."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import product
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AwareDatetime, Field, StrictInt, field_validator, model_validator

from bench.toml_rows import append_row, toml_value
from data import quantities
from data.disk import named
from data.nearest import did_you_mean
from data.plain_text import insist_visible
from data.quantity_fields import Stated
from data.tomlfile import FileError, read_toml
from protocols.procedure import ParamError, Procedure, load_procedure

RATE = "rate_ul_per_h"


class CampaignError(ValueError):
    """A campaign that cannot be planned or counted; the message says what to do."""


class CampaignDut(Stated):
    """A pump of the campaign: its model file, or the name of a shipped one, its serial number, and where it stands."""

    model: str = Field(examples=["sim-peristaltic"], min_length=1)
    serial: str = Field(examples=["SN-001"], min_length=1)
    station: str = Field("", examples=["bench.toml#3"])

    @field_validator("serial")
    @classmethod
    def _visible(cls, serial: str) -> str:
        insist_visible("serial number", serial)
        return serial


class Retest(Stated):
    """A person grants one more attempt after a run, with the reason; the run stays in the count."""

    run: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    person: str = Field(min_length=1)
    at: AwareDatetime


class Campaign(Stated):
    """The file of a campaign (docs/howto/campaign.md)."""

    title: str = Field(examples=["Flow accuracy, lot 2231"], min_length=1)
    protocol: str = Field(examples=["flow-accuracy"], min_length=1)
    station: str = Field("", examples=["lab-1"])
    origin: Literal["measured", "simulated"] = "measured"
    since: AwareDatetime = Field(examples=["2026-11-21T08:00:00+01:00"])
    approved_by: str = ""
    approved_on: date | None = None
    rates: tuple[str, ...] = Field(examples=[["0.5 mL/day", "1 mL/day"]], min_length=1)
    replicates: StrictInt = Field(1, ge=1)
    order_seed: StrictInt = 1
    checks: tuple[str, ...] = Field(examples=[["mean-flow-error"]], min_length=1)
    settings: dict[str, str] = Field(default_factory=dict)
    duts: tuple[CampaignDut, ...] = Field(min_length=1)
    retests: tuple[Retest, ...] = ()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        rates = [quantities.parse(rate, "flow") for rate in self.rates]
        if len(set(rates)) < len(rates):
            raise ValueError('"rates" names a rate twice; use "replicates" to run it more often')
        serials = [dut.serial for dut in self.duts]
        if len(set(serials)) < len(serials):
            raise ValueError('"duts" names a serial number twice; use "replicates" to run it more often')
        if len(set(self.checks)) < len(self.checks):
            raise ValueError('"checks" names a check twice; name each once')
        for text, rate in zip(self.rates, rates, strict=True):
            if not rate > 0.0:
                raise ValueError(f'"rates": {text} delivers nothing; give rates above 0')
        try:
            _leaves_the_rate_open(self)
            for text in self.rates:
                settled(self, text)
        except (ParamError, ImportError) as error:
            raise ValueError(str(error)) from None
        return self


@dataclass(frozen=True, slots=True)
class Cell:
    """One run that the campaign asks for.

    ``number`` is its place in the order, from 1; ``station`` is where its pump stands, "" where the plan does not say.
    """

    number: int
    serial: str
    model: str
    rate: str
    replicate: int
    station: str = ""

    @property
    def rate_ul_per_h(self) -> float:
        """The set rate."""
        return quantities.parse(self.rate, "flow")


def load_campaign(path: Path) -> Campaign:
    """Read the file of a campaign; raises `data.tomlfile.FileError`."""
    return read_toml(path, Campaign)


def cells(campaign: Campaign) -> list[Cell]:
    """The runs of a campaign in the order in which they are to be made.

    The order is that of the SHA-256 of seed, pump, rate and replicate: random as far as pump and rate know, and the
    same on every computer for ever.
    """

    def drawn(what: tuple[CampaignDut, str, int]) -> str:
        dut, rate, replicate = what
        said = f"{campaign.order_seed}\0{dut.serial}\0{rate}\0{replicate}"
        return hashlib.sha256(said.encode()).hexdigest()

    asked = sorted(product(campaign.duts, campaign.rates, range(1, campaign.replicates + 1)), key=drawn)
    return [
        Cell(k, dut.serial, dut.model, rate, replicate, dut.station or campaign.station)
        for k, (dut, rate, replicate) in enumerate(asked, 1)
    ]


def rate_setting(kind: type[Procedure]) -> str:
    """The parameter that a rate of the campaign sets; raises ParamError for a protocol that has none."""
    for name in ("schedule", RATE):
        if name in kind.params:
            return kind.params[name].short_name
    raise ParamError(f"protocol {kind.name} has no rate that a campaign could set; choose another protocol")


def unknown_here(campaign: Campaign, check_names: Iterable[str]) -> Iterator[str]:
    """What a campaign names that this computer does not know, one sentence each; another one may know it.

    Parameters
    ----------
    check_names : names of the checks that runs have had here; without any nothing is said of checks.
    """
    from bench.request import SHIPPED
    from bench.station import station_path

    shipped = sorted(file.stem for file in (SHIPPED / "duts").glob("*.toml"))
    for model in dict.fromkeys(dut.model for dut in campaign.duts):
        if model not in shipped and not (model.endswith(".toml") and Path(model).is_file()):
            others = f"there are {', '.join(shipped)}, or give a file that ends in .toml"
            yield f'no model file "{model}" is known here; {did_you_mean(model, shipped, others)}'
    for station in dict.fromkeys((campaign.station, *(dut.station for dut in campaign.duts))):
        try:
            path = station_path(station) if station else None
        except FileError as error:
            yield str(error)
        else:
            if path is not None and not path.is_file():
                yield f'no station file "{path}" is known here'
    known = list(check_names)
    for check in campaign.checks:
        if known and check not in known:
            others = f"there are {', '.join(known)}"
            yield f'no run that is known here has a check "{check}"; {did_you_mean(check, known, others)}'


def settled(campaign: Campaign, rate: str) -> dict[str, Any]:
    """The parameters that a run of the campaign must have, in our units: those that the file states."""
    kind = load_procedure(campaign.protocol)
    said = {**campaign.settings, rate_setting(kind): rate}
    names = {kind.param_name(name) for name in said}
    values = kind(**said).values()
    return {name: json.loads(json.dumps(value)) for name, value in values.items() if name in names}


def command(campaign: Campaign, cell: Cell) -> str:
    """The command line that makes a run."""
    import shlex

    kind = load_procedure(campaign.protocol)
    words = ["pumpbench", "run", campaign.protocol, "--station", cell.station or "STATION"]
    words += ["--dut", cell.model, "--serial", cell.serial]
    for name, value in {**campaign.settings, rate_setting(kind): cell.rate}.items():
        words += ["--set", f"{name}={value}"]
    return shlex.join(words)


def write_campaign(path: Path, said: Mapping[str, Any], duts: Sequence[CampaignDut]) -> Campaign:
    """Write the file of a new campaign, and read it back.

    Raises
    ------
    CampaignError
        The file exists: a plan is decided once.
    data.tomlfile.FileError
        What was asked for is no campaign; nothing is left.
    OSError
        The disk did not take it; nothing is left.
    """
    lines = [
        f"{key} = {toml_value(value)}" for key, value in said.items() if key != "settings" and value not in ("", ())
    ]
    if said.get("settings"):
        lines += ["", "[settings]", *(f"{_key(key)} = {toml_value(value)}" for key, value in said["settings"].items())]
    for dut in duts:
        lines += ["", "[[duts]]", f"model = {toml_value(dut.model)}", f"serial = {toml_value(dut.serial)}"]
        lines += [f"station = {toml_value(dut.station)}"] if dut.station else []
    text = "\n".join(lines).encode() + b"\n"
    try:
        file = path.open("xb")
    except FileExistsError:
        raise CampaignError(
            f"{path}: exists already; a campaign is decided once, give the new one another name"
        ) from None
    try:
        with named(path), file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return load_campaign(path)
    except (FileError, OSError):
        path.unlink()
        raise


def grant(path: Path, run: str, reason: str, person: str, at: datetime) -> None:
    """Write down that a run may be followed by another attempt; what stands in the file stays.

    Raises
    ------
    OSError
        The disk did not take it; the file is as it was.
    """
    append_row(path, "retests", {"run": run, "reason": reason, "person": person, "at": at})


def _leaves_the_rate_open(campaign: Campaign) -> None:
    """See that the settings do not state what the rates do; raises ValueError, or ParamError for a strange name."""
    kind = load_procedure(campaign.protocol)
    rate = rate_setting(kind)
    for name in campaign.settings:
        if kind.param_name(name) == kind.param_name(rate):
            raise ValueError(f'"settings" states "{name}", which "rates" gives each run; leave it out of the settings')


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else json.dumps(name)
