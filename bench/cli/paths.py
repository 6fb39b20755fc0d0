"""Paths and names as people give them to a command: never empty, as a variable is that nobody has set."""

from __future__ import annotations

import os
from pathlib import Path

import click


class FilePath(click.Path):
    """A path that is not empty: that of a variable that nobody has set would be the folder where one is."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """See that something is given; raises BadParameter with the name of the argument."""
        if not os.fspath(value):
            self.fail("it is empty; give a path", param, ctx)
        return super().convert(value, param, ctx)


class Name(click.ParamType[str]):
    """The name of a thing, or its file; an empty one would be taken for none, and another thing used in its place."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See that something is given; raises BadParameter with the name of the option."""
        if not value.strip():
            or_none = "" if param is not None and param.required else ", or leave the option out"
            self.fail(f"it is empty; give a name{or_none}", param, ctx)
        return value
