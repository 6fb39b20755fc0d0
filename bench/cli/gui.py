"""``pumpbench gui``: opens the window, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from bench.cli.paths import FilePath


@click.command()
@click.argument("run_file", required=False, type=FilePath())
@click.option(
    "--folder",
    type=FilePath(file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Where run files are written and looked for.",
)
@click.option("--person", default="", help="Who sits at the window; the OS account without it.")
def gui(run_file: Path | None, folder: Path, person: str) -> int:
    """Open the window: run protocols, watch, answer, stop; review runs.

    With RUN_FILE it opens that for review.  Runs that go on do not end with the window.
    """
    if run_file is not None and not run_file.is_file():
        raise click.UsageError(f"{run_file}: there is no such file; give the path of a run file (.h5)")
    if not _has_screen():
        raise click.UsageError(
            "there is no screen (neither DISPLAY nor WAYLAND_DISPLAY is set); start it in a desktop session, "
            "or on a virtual screen: xvfb-run -a ./pumpbench gui"
        )
    words = ["--folder", str(folder), f"--person={person}", *([] if run_file is None else [str(run_file)])]
    try:
        return subprocess.run([sys.executable, "-P", "-m", "gui", *words], check=False).returncode
    except KeyboardInterrupt:
        return 130


def _has_screen() -> bool:
    if sys.platform in ("win32", "darwin") or "QT_QPA_PLATFORM" in os.environ:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
