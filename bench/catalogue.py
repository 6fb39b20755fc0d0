"""The catalogue of this computer's runs: where it is, how files get into it, and what happens when it is not there.

The catalogue is an index, never the record: no run waits for it, and none is lost with it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.state_folder import home

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from data.catalogue.entry import Entry
    from data.catalogue.store import Catalogue

VARIABLE = "PUMPBENCH_CATALOGUE"

MISSED = "catalogue-missed.txt"
"""In the state folder: run files that the catalogue did not take when their run ended, and why."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What came of indexing.

    Attributes
    ----------
    added : files that were read; ``unchanged`` those that were as known.
    damaged : those that could not be read, each with its sentence.
    missing : files that the catalogue knows, and that have gone.
    """

    added: int
    unchanged: int
    damaged: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]


def place_of(given: str = "") -> URL:
    """Where the catalogue is: as given, as the environment says, or in the state folder.

    Raises
    ------
    CatalogueError
        The address cannot be read, or a password stands on the command line.
    """
    from data.catalogue.store import CatalogueError, url_of

    url = url_of(given or os.environ.get(VARIABLE) or str(home() / "catalogue.db"))
    if given and url.password:
        raise CatalogueError(
            f"--catalogue: a password does not belong on a command line, where others see it; "
            f"put it into ~/.pgpass, or the whole address into {VARIABLE}"
        )
    return url


def opened(given: str = "", *, make: bool = False, anew: bool = False) -> Catalogue:
    """Open the catalogue; raises CatalogueError, which is a ValueError of one sentence."""
    from data.catalogue.store import Catalogue

    return Catalogue(place_of(given), platform.node(), make=make, anew=anew)


def note_run(run_file: Path) -> None:
    """Put a run that has just ended or was signed into the catalogue, where there is one.

    What fails is written down, not raised; `missed` reads it.
    """
    try:
        if not (os.environ.get(VARIABLE) or (home() / "catalogue.db").is_file()):
            return
        from data.catalogue.entry import read_entry

        with opened(make=bool(os.environ.get(VARIABLE))) as catalogue:
            catalogue.add([reviewed(read_entry(run_file))])
        _caught_up({str(run_file.absolute())})
    except Exception as error:  # noqa: BLE001  # the run is over and safe, its index can wait
        said = " ".join(str(error).split())
        with suppress(OSError), (home() / MISSED).open("a", encoding="utf-8") as missed:
            missed.write(f"{run_file.absolute()}\t{said}\n")


def missed() -> dict[str, str]:
    """Run files that the catalogue did not take when their run ended or was signed, and why."""
    with suppress(OSError):
        lines = (home() / MISSED).read_text("utf-8").splitlines()
        return {path: why for path, _, why in (line.partition("\t") for line in lines)}
    return {}


def reviewed(entry: Entry) -> Entry:
    """An entry whose review is what the keys, persons and register here prove: a row in a file proves nothing alone."""
    if entry.kind != "run" or entry.review in ("", "unreviewed"):
        return entry
    from bench.trust.review import review_state

    try:
        state: str = review_state(Path(entry.path))
    except (ValueError, OSError):
        state = "unproven"
    return replace(entry, review=state)


def index(catalogue: Catalogue, places: Sequence[Path], *, again: bool = False) -> Indexed:
    """Bring files, and whole folders with what is below them, up to date in the catalogue.

    Parameters
    ----------
    again : read also what is known and has not changed.

    Raises
    ------
    CatalogueError
        A place is not there, or the catalogue cannot be used.
    """
    from data.catalogue.apart import read_apart

    files = list(_files(places))
    known = {} if again else catalogue.known()
    changed = [path for path in files if known.get(str(path)) != _stamp(path)]
    bad: list[tuple[str, str]] = []

    def read() -> Iterator[Entry]:
        for entry in read_apart(changed):
            if entry.kind == "damaged":
                bad.append((entry.path, entry.sentence))
            yield reviewed(entry)

    added = catalogue.add(read())
    folders = [place.absolute() for place in places if place.is_dir()]
    there = {str(path) for path in files}
    gone = [path for path in known if path not in there and any(Path(path).is_relative_to(at) for at in folders)]
    _caught_up(there)
    return Indexed(added, len(files) - added, tuple(bad), tuple(catalogue.gone(gone)))


def known_folders(catalogue: Catalogue) -> list[Path]:
    """The folders that files of this computer are known in."""
    return sorted({folder for path in catalogue.known() if (folder := Path(path).parent).is_dir()})


def _files(places: Iterable[Path]) -> Iterator[Path]:
    from data.catalogue.store import CatalogueError

    for place in places:
        if place.is_dir():
            found = place.absolute().rglob("*.h5")
            yield from sorted(path for path in found if path.is_file() and not path.name.startswith("."))
        elif place.is_file():
            yield place.absolute()
        else:
            raise CatalogueError(f"{place}: there is no such file or folder; give run files (.h5), or their folder")


def _stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        there = path.stat()
        return there.st_size, there.st_mtime_ns
    return 0, 0


def _caught_up(paths: set[str]) -> None:
    """Forget that these were missed."""
    known = missed()
    left = {path: why for path, why in known.items() if path not in paths}
    if left == known:
        return
    with suppress(OSError):
        if left:
            (home() / MISSED).write_text("".join(f"{path}\t{why}\n" for path, why in left.items()), "utf-8")
        else:
            (home() / MISSED).unlink(missing_ok=True)
