"""The command line: parses, calls, prints. Torch is imported by the commands that need it, not for --help."""

from __future__ import annotations

import atexit
import functools
import gc
import inspect
import io
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from zatlas.cli import measure, showing, study
from zatlas.cli.commands import commands
from zatlas.errors import UsageError, ZatlasError, one_line, says_no_memory

OVERFLOW = "Overflow when unpacking long"  # torch, in a TypeError or a ValueError


class Interrupted(Exception):
    """Ctrl-C; click would end a KeyboardInterrupt without a message, or with status 1."""


class _Command(TyperCommand):
    def invoke(self, ctx: Any) -> Any:
        from zatlas.files import LARGEST

        for name, value in ctx.params.items():
            if isinstance(value, int) and abs(value) > LARGEST:  # torch and numpy would each raise their own
                raise UsageError(f"{name.replace('_', ' ')} {value} is too large: whole numbers go up to {LARGEST}.")
        return super().invoke(ctx)


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None


app = typer.Typer(
    name="zatlas",
    cls=_Commands,
    help="An atlas of z: fit latent-variable generative models to your images, measure them, walk their latent space.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        import zatlas

        print(f"zatlas {zatlas.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback where something fails.")] = False,
) -> None:
    if debug:
        os.environ["ZATLAS_DEBUG"] = "1"


COMMANDS = commands()

PAGES = (measure.report, study.study)  # commands whose figures go into a page

Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run code that a run names by its place, module:Class, if you trust who made it."),
]


def _names_runs(parameter: inspect.Parameter) -> bool:
    """Whether a person names runs with it."""
    words = [str(getattr(word, "metavar", "")) for word in getattr(parameter.annotation, "__metadata__", ())]
    return parameter.name == "resume" or any("RUN" in word for word in words)


def _with_trust(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command on runs, which may name foreign code, with the option ``--trust``."""
    signature = inspect.signature(command, eval_str=True)
    if not any(map(_names_runs, signature.parameters.values())):
        return command

    @functools.wraps(command)
    def trusting(*given: Any, trust: bool = False, **named: Any) -> Any:
        if trust:
            from zatlas import trust as foreign

            foreign.trust()
        return command(*given, **named)

    asked = inspect.Parameter("trust", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Trust)
    trusting.__signature__ = signature.replace(parameters=[*signature.parameters.values(), asked])  # type: ignore[attr-defined]
    trusting.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()} | {"trust": Trust}
    return trusting


def _draws(out: inspect.Parameter | None) -> bool:
    """Whether an option --out takes a picture."""
    return out is not None and any(getattr(one, "help", None) == showing.DRAWN for one in get_args(out.annotation))


def _with_look(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that draws, with the options of how its figures look."""
    signature = inspect.signature(command, eval_str=True)
    if not _draws(signature.parameters.get("out")) and command not in PAGES:
        return command

    @functools.wraps(command)
    def looking(*given: Any, **named: Any) -> Any:
        with showing.looking(**{name: named.pop(name, None) for name in showing.LOOK}):
            return command(*given, **named)

    words = showing.PAGE_LOOK if command in PAGES else showing.LOOK
    asked = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in words.items()
    ]
    looking.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *asked])  # type: ignore[attr-defined]
    looking.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()} | words
    return looking


def _whole(command: Callable[..., Any]) -> Callable[..., Any]:
    return _with_trust(_with_look(command))


for panel, below in COMMANDS.items():
    for name, command in below.items():
        if isinstance(command, typer.Typer):
            for inner in command.registered_commands:
                inner.cls = _Command
                inner.callback = inner.callback and _whole(inner.callback)
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, cls=_Command, rich_help_panel=panel)(_whole(command))


def main() -> None:
    """Runs the command line; every failure is one sentence on stderr and a status of 1 or 2."""
    _open_streams()
    _collect_seldom()
    try:
        app()
    except (Interrupted, KeyboardInterrupt):
        _tell("interrupted.")
        sys.exit(130)
    except Exception as error:
        if os.environ.get("ZATLAS_DEBUG"):
            if "ZATLAS_LAUNCHED" not in os.environ:
                raise
            traceback.print_exception(error)  # and the status below, by which a worker is begun again or not
        _tell(one_line(_sentence(error)))
        if isinstance(error, OSError):  # it may be stdout that is full: the interpreter is not to try again at its end
            with suppress(OSError), open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
        sys.exit(error.exit_status if isinstance(error, ZatlasError) else 1)


def _collect_seldom() -> None:
    """Spares the passes of the garbage collector over what torch's import leaves, 0.3 s there and 0.5 s at the end."""
    gc.set_threshold(50_000, 10, 10)
    atexit.register(gc.freeze)


def _open_streams() -> None:
    """Puts something at the three standard descriptors where they were closed: a file that is opened would get their
    numbers, and what a library prints would go into it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (until the process ends)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path that is not UTF-8 is to be said, and not to fail in saying it
            stream.reconfigure(errors="backslashreplace")


def _tell(sentence: str) -> None:
    with suppress(OSError):  # standard error may be closed
        print(f"zatlas: {sentence}", file=sys.stderr)


def _sentence(error: Exception) -> str:
    """One line for people; an unexpected exception is reported as a bug, with how to see its traceback."""
    if isinstance(error, ZatlasError):
        return str(error)
    if says_no_memory(error):
        return (
            "there is not enough memory for this: free some, raise this process's limit if it has one (ulimit -v), "
            "or ask for less, by --resize, --batch-size, --size, --latent-dim or --set data.resident=false."
        )
    if isinstance(error, OverflowError) or OVERFLOW in str(error):
        return "a number that was given is too large to be worked with: give a smaller one."
    if isinstance(error, RecursionError):
        return "something that was read is nested too deeply to be followed: no file of zatlas does."
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.filename or 'reading or writing'} failed: {error.strerror}.")
    lines = str(error).strip().splitlines()
    what = one_line(f"{type(error).__name__}: {lines[0]}") if lines else type(error).__name__
    return f"something went wrong that should not have ({what}); `zatlas --debug …` shows where: please report it."
