"""The command `edgeprep`: finds a command, runs it, and turns errors into exit codes."""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

import edgeprep
from edgeprep.cli.exit_codes import exit_code
from edgeprep.cli.near import NearGroup
from edgeprep.cli.output import complain, keep_standard_streams
from edgeprep.cli.stopping import Signals, Stopped, stoppable
from edgeprep.errors import EdgePrepError

__all__ = ["COMMANDS", "main"]

# Module and help line of each command, said here so that `--help` imports none of them.
COMMANDS = {
    "convert": ("convert", "Make a bundle from a recipe."),
    "export": ("convert", "Another name of convert."),
    "ensemble": ("ensemble", "Make one bundle of several, whose results are joined."),
    "train": ("train", "Train the network of a recipe."),
    "run": ("run", "Run a bundle on pictures, films and cameras."),
    "benchmark": ("benchmark", "Measure every way in which this machine can run a bundle."),
    "evaluate": ("evaluate", "Score a bundle, or a recipe, on its evaluation data."),
    "search": ("search", "Measure the ways to convert a recipe, and choose one."),
    "check": ("check", "Warn of costly preprocessing, and of what breaks int8."),
    "sensitivity": ("sensitivity", "Rank layers by what quantizing each one costs."),
    "preprocess": ("preprocess", "Show what each stage of a recipe makes of a picture."),
    "import": ("importing", "Print the preprocessing that another library has written down."),
    "inspect": ("inspect", "Show what is in a bundle."),
    "zoo": ("zoo", "List, show, copy, train and verify the networks of the zoo."),
    "plugins": ("plugins", "Show what is installed, and what is broken and why."),
    "doctor": ("doctor", "Show this machine, its engines and their devices."),
}


class _Commands(NearGroup):
    """Imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"edgeprep.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(edgeprep.__version__, "-v", "--version", message="edgeprep %(version)s")
def _edgeprep() -> None:
    """Vision models to the edge: one recipe, one bundle, the fastest path measured.

    Exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 3 over budget, 4 parity failed, 130
    interrupted, 143 terminated.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit, with a code that `edgeprep --help` lists.

    Args:
        arguments: the words after the program's name; None: those of this process.
    """
    keep_standard_streams()
    with stoppable() as signals:
        try:
            code = _run(None if arguments is None else list(arguments), signals)
        except BaseException:
            # Whatever a library made of the signal, or went on to do after it.
            if signals.came is None:
                raise
        if signals.came is not None:
            code = 128 + signals.came
            complain(Stopped(signals.came))
        sys.exit(code)


def _run(arguments: list[str] | None, signals: Signals) -> int:
    try:
        code = _edgeprep.main(arguments, prog_name="edgeprep", standalone_mode=False)
    except (click.ClickException, EdgePrepError) as error:
        if signals.came is None:
            _tell(error)
        return error.exit_code if isinstance(error, click.ClickException) else exit_code(error)
    except click.Abort as abort:
        # What click makes of every KeyboardInterrupt, and of EOFError.
        if signals.came is None:
            from edgeprep.schema.foreign import name_fault  # only this needs it

            complain(f"interrupted by {name_fault(abort.__cause__ or abort)}")
        return 128 + signal.SIGINT
    return code if isinstance(code, int) else 0


def _tell(error: click.ClickException | EdgePrepError) -> None:
    if isinstance(error, click.ClickException):
        error.show(sys.stderr)
    else:
        complain(error)
