"""The table of signatures: which quantities a run can show, and what each cause does to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, RootModel, model_validator

from data.checks import Owner
from data.quantity_fields import Stated
from data.tomlfile import read_toml

FILE = Path(__file__).with_name("signatures.toml")

SIGNS = {"+": 1, "-": -1, "~": 0}


@dataclass(frozen=True, slots=True)
class Sign:
    """A quantity and the side to which a cause moves it: 1, -1, or 0 for either."""

    quantity: str
    side: int

    @classmethod
    def parse(cls, text: str) -> Sign:
        """Read "lost +"; raises ValueError."""
        name, _, sign = text.strip().rpartition(" ")
        if sign not in SIGNS or not name:
            raise ValueError(f'"{text}" is no sign of a quantity; write it like "lost +", "lost -" or "lost ~"')
        return cls(name.strip(), SIGNS[sign])


class Quantity(Stated):
    """A quantity that a run can show; see the head of the file."""

    title: str
    checks: tuple[str, ...] = ()
    combine: Literal["worst", "common"] = "worst"
    family: Literal["", "mean", "change"] = ""
    test: str
    cost: Literal["look", "read", "check", "run"]


class Signature(Stated):
    """What one cause does; see the head of the file."""

    owner: Owner
    says: str
    mean: dict[str, float] = Field({})
    change: dict[str, float] = Field({})
    size: Literal["+", "+-"] = "+"
    shows: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    stops: bool = False
    rarer: float = Field(0.0, ge=0.0)

    @cached_property
    def ratios(self) -> dict[str, float]:
        """How far each flow moves, means and changes, for each percent of the cause's size."""
        return {**self.mean, **self.change}

    @cached_property
    def has_to_show(self) -> tuple[tuple[Sign, ...], ...]:
        """Groups of signs, of each of which one has to be there."""
        return tuple(tuple(Sign.parse(one) for one in group.split("|")) for group in self.shows)

    @cached_property
    def may_show(self) -> tuple[Sign, ...]:
        """Signs that may be there."""
        return tuple(Sign.parse(one) for one in self.may)

    @cached_property
    def has_to_go_with(self) -> tuple[Sign, ...]:
        """Signs without which a cause that the run could not show does not look the same."""
        return tuple(Sign.parse(one) for one in self.also)

    def has_to_move(self, quantity: str) -> bool:
        """Whether it cannot be without moving a quantity, or another one of the same group."""
        return quantity in self.ratios or any(sign.quantity == quantity for group in self.has_to_show for sign in group)

    def side(self, quantity: str) -> int | None:
        """Where it moves a quantity: 1, -1, 0 for either; None where it leaves it alone."""
        if quantity in self.ratios:
            return 0 if self.size == "+-" else 1 if self.ratios[quantity] > 0.0 else -1
        return self._sides.get(quantity)

    @cached_property
    def _sides(self) -> dict[str, int]:
        signs = (*(sign for group in self.has_to_show for sign in group), *self.may_show)
        return {sign.quantity: sign.side for sign in reversed(signs)}


class Table(Stated):
    """The file."""

    quantity: dict[str, Quantity]
    cause: dict[str, Signature]

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, cause in self.cause.items():
            signs = (*(sign for group in cause.has_to_show for sign in group), *cause.may_show, *cause.has_to_go_with)
            for quantity in (*cause.ratios, *(sign.quantity for sign in signs)):
                if quantity not in self.quantity:
                    raise ValueError(f'cause "{name}": there is no quantity "{quantity}"; add it, or correct its name')
            for family, named in (("mean", cause.mean), ("change", cause.change)):
                strange = [one for one in named if self.quantity[one].family != family]
                if strange:
                    raise ValueError(f'cause "{name}": "{strange[0]}" is no {family} of a flow; name it elsewhere')
        return self


class _File(RootModel[Table]):
    """For `read_toml`."""


@cache
def table() -> Table:
    """The shipped table; raises FileError naming line, key and remedy."""
    return read_toml(FILE, _File).root
