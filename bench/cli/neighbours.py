"""Whether the packages that would be imported are ours: InstrumentKit, for one, installs an `instruments` too."""

from __future__ import annotations

import os
from importlib.util import find_spec

OURS = ("gui", "protocols", "instruments", "data")


def stranger() -> str | None:
    """One sentence about the first package that stands where one of ours should, or None."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for name in OURS:
        spec = find_spec(name)
        found = os.path.dirname(os.path.abspath(spec.origin)) if spec and spec.origin else "nowhere"
        if os.path.normcase(found) != os.path.normcase(os.path.join(home, name)):
            launcher = os.path.join(home, "pumpbench")
            return (
                f'the package "{name}" was found in {found} and not in {home}; another program put one of the same '
                f"name there: start the bench with its own launcher, {launcher}, and keep that package out of its .venv"
            )
    return None
