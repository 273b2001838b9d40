"""The command line: the commands, exit codes, and the one place where errors are printed.

Exit codes: 0 done; 1 a case crashed, failed or timed out, a gate or check failed, or the machine is not fit;
2 wrong usage or configuration, or files that can't be used; 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Annotated, Any

import typer

from bench.commands.help_page import Command, Group
from bench.commands.notice import announced
from bench.commands.output import closable_errors, closable_output
from bench.commands.stderr import tell
from bench.core.garbage import uncollected
from bench.errors import BenchError, printable

#: The base of click's usage errors. It can't be imported by name: typer may bundle a click of its own.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class _Commands(Group):
    """The commands; their usage errors quote only the beginning of a long argument."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        with _bounded():
            return super().make_context(*args, **options)

    def invoke(self, *args: Any, **options: Any) -> Any:
        with _bounded():
            return super().invoke(*args, **options)


@contextmanager
def _bounded() -> Iterator[None]:
    """Shorten the message of a usage error: each long word, then the whole."""
    try:
        yield
    except _UsageError as error:
        message = getattr(error, "message", "").removeprefix("Value error, ")  # typer adds pydantic's prefix
        short = re.sub(r"\S{81,}", lambda word: printable(word[0], 80), message)
        setattr(error, "message", printable(short))  # noqa: B010 - mypy does not know that the class has it
        raise


#: Keeps pydantic from looking for plugins, for which it reads the metadata of every installed package.
_NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "__all__")

_RESULTS, _WORKER = "Reading results", "Starting the measuring process"
#: The commands, and the notice that each shows while it loads what it needs. A command is the function, or the group of
#: commands, of this name in its module in `commands`.
COMMANDS: dict[str, str | None] = {
    "run": "Preparing the measurement",
    "doctor": "Looking at this machine",
    "models": None,
    "compare": _RESULTS,
    "report": _RESULTS,
    "serve": "Starting the endpoint",
    "remote": "Preparing the measurement",
    "hybrid": _RESULTS,
    "cost": _RESULTS,
    "predict": "Predicting memory",
    "profile": "Predicting memory",
    "calibrate": _WORKER,
    "quality": _WORKER,
    "latents": "Predicting memory",
    "advise": "Predicting memory and times",
    "best": _WORKER,
    "plan": "Predicting memory and times",
    "docs": None,
    "export": _RESULTS,
    "merge": _RESULTS,
    "push": _RESULTS,
    "pull": "Reading the dataset",
    "contribute": "Looking at this machine",
    "accept": "Reading bundles",
}


#: Commands that end before garbage could matter. What they make lives to their end, and looking through it again and
#: again would take a tenth of their time.
_BRIEF = {"predict", "advise"}


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The command line for these arguments: with the command that they begin with, or else with all commands.

    Loading all of them takes longer than many commands run.
    """
    named = arguments[:1] if arguments and arguments[0] in COMMANDS else []
    app = typer.Typer(
        cls=_Commands,
        add_completion=not named,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        help="Measure time and peak VRAM of diffusion VAEs, text encoders and pipelines, predict them for other cards, "
        "and compare remote endpoints.",
    )
    app.callback(invoke_without_command=True)(_version)
    for name in named or COMMANDS:
        command, notice = getattr(import_module(f"bench.commands.{name}"), name), COMMANDS[name]
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(cls=Command)(announced(notice, command) if notice else command)
    return app


@closable_errors()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Errors are printed here and nowhere else."""
    os.environ.setdefault(*_NO_PLUGINS)
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        with closable_output(), uncollected(freeze=False) if set(arguments[:1]) <= _BRIEF else nullcontext():
            app_for(arguments)(arguments)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except BenchError as error:
        for number, message in enumerate(error.args):
            tell(f"{'  ' if number else 'error: '}{message}")
        return error.exit_code
    except OSError as error:  # a name too long, standard output on a full disk
        tell(f"error: {error}")
        return BenchError.exit_code
    return 0


def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from importlib import metadata  # noqa: PLC0415 - slow to load

        try:
            typer.echo(metadata.version("hybrid-bench"))
        except metadata.PackageNotFoundError:
            typer.echo("not installed: run from a checkout")
        raise typer.Exit


if __name__ == "__main__":
    sys.exit(main())
