"""The command line.  Each command imports what it needs when it is called, so that `--help` is quick."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

import click

from bench import __version__
from bench.cli.neighbours import stranger
from bench.unsaved import UnsavedError
from data.disk import told
from data.nearest import did_you_mean

# command -> (module, attribute, help); the modules are imported when a command is called.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("bench.cli.run", "demo", "Run a complete flow-accuracy test of a simulated pump."),
    "gui": ("bench.cli.gui", "gui", "Open the window: run protocols, watch, answer, stop; review runs."),
    "run": ("bench.cli.run", "run", "Run a protocol on a station."),
    "forecast": ("bench.cli.forecast", "forecast", "Say how uncertain a run will be, and how long it must be."),
    "runner": ("bench.cli.runner", "runner", "Watch and lead runs that have a process of their own."),
    "replay": ("bench.cli.run", "replay", "Play a recorded flow log through a simulated sensor into a run file."),
    "protocols": ("bench.cli.listing", "protocols", "List the protocols and their parameters."),
    "stations": ("bench.cli.stations", "stations", "List or check station files; find out what is at ports."),
    "duts": ("bench.cli.listing", "duts", "List or check files of devices under test, catheters and fluids."),
    "recipes": ("bench.cli.recipes", "recipes", "Write, check and approve protocols with fixed parameters."),
    "articles": ("bench.cli.articles", "articles", "List what a lab has, and say what may be used."),
    "faults": ("bench.cli.listing", "faults", "List the faults that a simulated station can have."),
    "sim": ("bench.cli.sim", "sim", "Serve simulated instruments to other programs."),
    "import-log": ("bench.cli.import_log", "import_log", "Make a run file of a log that another program recorded."),
    "analyse": ("bench.cli.analyse", "analyse", "Analyse a log that another program recorded."),
    "chart": ("bench.cli.shift", "chart", "Show the control chart of a station's rig checks."),
    "handover": ("bench.cli.shift", "handover", "Write the hand-over note of the runs in a folder."),
    "qualify": ("bench.cli.qualify", "qualify", "Try every fault on the simulated bench, and count what is found."),
    "catalogue": (
        "bench.cli.catalogue",
        "catalogue",
        "Find runs; follow a check over many; what an instrument touched.",
    ),
    "campaign": ("bench.cli.campaign", "campaign", "Plan many runs; see how far they are, and what they say together."),
    "archive": ("bench.cli.archive", "archive", "Judge all runs of a folder again; tell which would change."),
    "evaluate": ("bench.cli.review", "evaluate", "Judge a run file again and compare with what it says."),
    "locate": ("bench.cli.locate", "locate", "Say whether what is odd in a run is the rig's or the pump's."),
    "verify": ("bench.cli.review", "verify", "Tell whether a run file is intact."),
    "report": ("bench.cli.report", "report", "Make the report of a run file, as PDF/A or HTML."),
    "review": ("bench.cli.signing", "review", "Show the checklist of a run, and who signed it."),
    "sign": ("bench.cli.signing", "sign", "Sign a run as reviewed, approved or rejected."),
    "users": ("bench.cli.trust", "users", "Add, list and retire the persons who sign runs."),
    "keys": ("bench.cli.trust", "keys", "List, export and trust the keys that seal runs."),
    "register": ("bench.cli.trust", "register", "Show the register of sealed runs."),
    "audit": ("bench.cli.trust", "audit", "Show or check the audit trail."),
    "export": ("bench.cli.export", "export", "Write a run as CSV or Parquet for other programs."),
    "recover": ("bench.cli.review", "recover", "Make the run file of a run that was cut off."),
    "snapshot": ("bench.cli.review", "snapshot", "Make a readable file of a run that is still going on."),
}

EXIT_BAD_INPUT = 2
EXIT_RUN_ERROR = 3


class _Commands(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command."""
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when there is none of this name."""
        if args and args[0] not in COMMANDS:
            hint = did_you_mean(args[0], COMMANDS, "see pumpbench --help")
            raise click.UsageError(f'there is no command "{args[0]}"; {hint}')
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pumpbench")
def cli() -> None:
    """Test bench for implantable drug pumps and their catheters."""


PLAIN = {"±": "+/-", "≤": "<=", "≥": ">=", "–": "-", "…": "...", "✓": "+", "✗": "x", "°": "deg ", "µ": "u"}
"""What stands for a sign that the terminal or the file behind it cannot hold (a pipe on Windows is often cp1252)."""


def _speak_plainly() -> None:
    """Let no sign of ours stop a command halfway: a run has been made when its table is printed."""
    import codecs

    def plain(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        signs = error.object[error.start : error.end]
        return "".join(PLAIN.get(sign, "?") for sign in signs), error.end

    codecs.register_error("plain", plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _help_line(error: click.ClickException) -> str:
    """Where to look, after a message of click's own, which says what is wrong but not what to do."""
    context = getattr(error, "ctx", None)
    of_click = type(error) is not click.UsageError or error.message.startswith(("No such", "Got unexpected"))
    return f"  See: {context.command_path} --help" if context is not None and of_click else ""


def _in_one_line(error: click.ClickException) -> str:
    """A message; click puts the choices of an option that is missing below each other."""
    said = error.format_message()
    return " ".join(said.split()) if isinstance(error, click.MissingParameter) else said


def main(args: list[str] | None = None) -> Any:
    """Entry point.  Bad input is one plain sentence on stderr and exit code 2, never a traceback."""
    _speak_plainly()
    if sentence := stranger():
        click.echo(f"pumpbench: {sentence}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    try:
        code = cli.main(args=args, prog_name="pumpbench", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(EXIT_BAD_INPUT)
    except click.ClickException as error:
        click.echo(f"pumpbench: {_in_one_line(error)}{_help_line(error)}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        click.echo(f"pumpbench: {told(error)}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except ValueError as error:
        click.echo(f"pumpbench: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except UnsavedError as error:
        click.echo(f"pumpbench: {error}", err=True)
        sys.exit(EXIT_RUN_ERROR)
    sys.exit(code if isinstance(code, int) else 0)
