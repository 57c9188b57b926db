"""The command line: parses, calls, prints. Torch is imported by the commands that need it, not for --help."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from zatlas import __version__
from zatlas.cli import bring, data, describe, explain, know, measure, models, picture, train, walk
from zatlas.errors import ZatlasError


class Interrupted(Exception):
    """Ctrl-C; click would swallow a KeyboardInterrupt without a word, or with status 1."""


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
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"zatlas {__version__}")
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


app.command("train")(train.train)
app.command("models")(models.models)
app.command("evaluate")(measure.evaluate)
app.command("compare")(measure.compare)
app.command("agree")(measure.agree)
app.command("classifier")(measure.classifier)
app.command("report")(measure.report)
app.command("sample")(picture.sample)
app.command("prior")(picture.prior)
app.command("reconstruct")(picture.reconstruct)
app.command("encode")(picture.encode)
app.command("decode")(picture.decode)
app.command("manifold")(walk.manifold)
app.command("traverse")(walk.traverse)
app.command("interpolate")(walk.interpolate)
app.command("scatter")(walk.scatter)
app.add_typer(know.app, name="direction")
app.command("relabel")(know.relabel)
app.command("transfer")(know.transfer)
app.command("describe")(describe.describe)
app.command("import")(bring.import_)
app.add_typer(explain.app, name="explain")
app.add_typer(data.app, name="data")
app.command("doctor")(train.doctor)


def main() -> None:
    """Runs the command line; every failure is one sentence on stderr and a status of 1 or 2."""
    try:
        app()
    except (Interrupted, KeyboardInterrupt):
        print("zatlas: interrupted.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("ZATLAS_DEBUG"):
            raise
        print(f"zatlas: {_sentence(error)}", file=sys.stderr)
        if isinstance(error, OSError):  # it may be stdout that is full: the interpreter is not to try again at its end
            with suppress(OSError), open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
        sys.exit(error.exit_status if isinstance(error, ZatlasError) else 1)


def _sentence(error: Exception) -> str:
    """One line for people; what no room foresaw says so, and how to see more of it."""
    if isinstance(error, ZatlasError):
        return str(error)
    # torch's own errors are RuntimeErrors, whose words alone tell them apart
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
        return "out of memory: lower training.batch_size, or set data.resident=false."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'reading or writing'} failed: {error.strerror}."
    lines = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return f"something went wrong that should not have ({what}); `zatlas --debug …` shows where: please report it."
