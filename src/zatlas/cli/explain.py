"""zatlas explain conv-transpose | kl | elbo | reparameterisation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zatlas.cli.commands import LEARN, command
from zatlas.cli.showing import Out, Seed, moves, show
from zatlas.cli.train import Json
from zatlas.errors import UsageError

if TYPE_CHECKING:
    from zatlas.figures import View

Rows = Sequence[Sequence[str]]

EXAMPLES = (
    ("How does a transposed convolution come to its size and to its values?",
     "conv-transpose --input 4 --kernel 5 --stride 3 --output-padding 1 --padding 1"),
    ("What does a code N(μ, σ²) cost against N(0, 1)?", "kl"),
    ("Why are KL(P‖Q) and KL(Q‖P) not the same?", "kl --p 0.1,0.4,0.5 --q 0.8,0.15,0.05"),
    ("What is the KL of two Gaussians, and what does the diagonal formula leave out?",
     'kl --mean1 1,0 --cov1 "1,0.5;0.5,2"'),
    ("Which direction covers the mass, and which seeks a mode?", "kl --fit"),
    ("What is the ELBO, and how far is it from log p(x)?", "elbo --x 1 --mu -1 --sigma 0.6"),
    ("Why is a draw reparameterised, and why does a network say log σ²?", "reparameterisation --sigma 0.5"),
)  # fmt: skip

app = command("explain", panel=LEARN, order=2)(
    typer.Typer(help="Work out what a transposed convolution, a KL or the ELBO is, with numbers and a drawing.")
)


@app.callback(invoke_without_command=True)
def explain(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        from zatlas.console import say

        for question, words in EXAMPLES:
            say(f"{question}\n    zatlas explain {words}")


@app.command("conv-transpose")
def conv_transpose(
    size: Annotated[str, typer.Option("--input", help="Height and width: 4, or 4x6.")] = "4",
    kernel: Annotated[str, typer.Option(help="As 3 or 3x5; so are all below.")] = "3",
    stride: Annotated[str, typer.Option(help="Stride.")] = "1",
    padding: Annotated[str, typer.Option(help="Cut from each side.")] = "0",
    output_padding: Annotated[str, typer.Option(help="Added at the bottom and at the right.")] = "0",
    dilation: Annotated[str, typer.Option(help="Distance of the kernel's cells.")] = "1",
    out: Out = None,
    json: Json = False,
) -> None:
    """A transposed convolution step by step: sizes, values, a drawing."""
    from zatlas import explain

    def lesson(at: float) -> View:
        whole = _sides("--input", size)
        height, width = (max(1, round(at * side)) for side in ((whole, whole) if isinstance(whole, int) else whole))
        return explain.conv_transpose(
            (height, width),
            _sides("--kernel", kernel),
            stride=_sides("--stride", stride),
            padding=_sides("--padding", padding),
            output_padding=_sides("--output-padding", output_padding),
            dilation=_sides("--dilation", dilation),
        )

    view = _shown(lesson, out)
    show(Path("."), out, "conv-transpose", json, view)


@app.command()
def kl(
    p: Annotated[str | None, typer.Option("--p", help="Probabilities, as 0.1,0.4,0.5.")] = None,
    q: Annotated[str | None, typer.Option("--q", help="Probabilities of the same outcomes.")] = None,
    normalise: Annotated[bool, typer.Option("--normalise", help="Divide P and Q by their sums.")] = False,
    mu: Annotated[float | None, typer.Option(help="Mean of a Gaussian of one dimension.")] = None,
    sigma: Annotated[float | None, typer.Option(help="Its standard deviation. (default: 1)")] = None,
    mean1: Annotated[str | None, typer.Option(help="Mean of the first Gaussian, as 1,0.")] = None,
    cov1: Annotated[
        str | None, typer.Option(help='Its covariance, as "1,0.5;0.5,2", or its variances, as 1,2.')
    ] = None,
    mean2: Annotated[str | None, typer.Option(help="Mean of the second. (default: 0)")] = None,
    cov2: Annotated[str | None, typer.Option(help="Its covariance. (default: the identity)")] = None,
    fit: Annotated[bool, typer.Option("--fit", help="One Gaussian for two bumps, by either direction.")] = False,
    draws: Annotated[int, typer.Option(min=2, max=10_000_000, help="Of the Monte Carlo estimate.")] = 100_000,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """The Kullback-Leibler divergence: of discrete distributions, of Gaussians, over μ and σ."""
    from zatlas import explain
    from zatlas.console import console

    asked = {
        "--p and --q": p is not None or q is not None or normalise,
        "--mu and --sigma": mu is not None or sigma is not None,
        "--mean1 and --cov1": mean1 is not None or cov1 is not None,
        "--fit": fit,
    }
    if sum(asked.values()) > 1:
        raise UsageError(
            f"{' goes not with '.join(name for name, given in asked.items() if given)}: ask one at a time."
        )
    second = mean2 is not None or cov2 is not None
    if second and not (asked["--mu and --sigma"] or asked["--mean1 and --cov1"]):
        raise UsageError("--mean2 and --cov2 want a first Gaussian: give --mean1 and --cov1, or --mu and --sigma.")
    if asked["--p and --q"]:
        if p is None or q is None:
            raise UsageError("a divergence wants two distributions: give both --p and --q.")
        first, other = _numbers("--p", p), _numbers("--q", q)
        view = _shown(lambda at: explain.discrete_kl(first, _between(first, other, at), normalise=normalise), out)
        if not json:
            console.print(_table(("outcome", "p", "q", "p log p/q", "q log q/p"), _terms(view)))
    elif asked["--mu and --sigma"] or asked["--mean1 and --cov1"]:
        if asked["--mu and --sigma"]:
            spread = 1.0 if sigma is None else sigma
            if spread <= 0:
                raise UsageError(f"--sigma {spread:g} is no standard deviation: give a number above 0.")
            mean, covariance = [mu or 0.0], [[spread**2]]
        else:
            if mean1 is None or cov1 is None:
                raise UsageError("a Gaussian wants both its mean and its covariance: give --mean1 and --cov1.")
            mean, covariance = _numbers("--mean1", mean1), _matrix("--cov1", cov1)
        view = _shown(
            lambda at: explain.gaussian_kl(
                mean if at == 1 else [at * part for part in mean],
                covariance,
                None if mean2 is None else _numbers("--mean2", mean2),
                None if cov2 is None else _matrix("--cov2", cov2),
                draws=draws,
                seed=seed,
            ),
            out,
        )
    else:
        view = _fit(out) if fit else _curves(out)
    show(Path("."), out, "kl", json, view)


@app.command()
def elbo(
    x: Annotated[float, typer.Option(help="What was seen.")] = 1.0,
    noise: Annotated[float, typer.Option(help="Standard deviation of x given z.")] = 0.5,
    mu: Annotated[float, typer.Option(help="Mean of your q.")] = -1.0,
    sigma: Annotated[float, typer.Option(help="Its standard deviation.")] = 0.6,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """ELBO, KL to the true posterior and log p(x) of a model with one latent unit, by quadrature."""
    from zatlas import explain
    from zatlas.console import console

    view = explain.elbo(x=x, noise=noise, mu=mu, sigma=sigma, seed=seed)
    if moves(out):  # from that q to the best one
        start, best = view.facts["q"], view.facts["best"]
        to = lambda at, name: start[name] + at * (best[name] - start[name])
        view = _shown(lambda at: explain.elbo(x=x, noise=noise, mu=to(at, "mu"), sigma=to(at, "sigma"), seed=seed), out)
    if not json:
        names = ("mu", "sigma", "reconstruction", "rate", "elbo", "gap")
        columns = ("", "μ", "σ", "E log p(x|z)", "KL(q‖p(z))", "ELBO", "KL(q‖p(z|x))", "log p(x)")
        rows = [
            (name, *(f"{view.facts[key][n]:.4f}" for n in names), f"{view.facts['log_px_nats']:.4f}")
            for name, key in (("your q", "q"), ("best q", "best"))
        ]
        console.print(_table(columns, rows))
    show(Path("."), out, "elbo", json, view)


@app.command()
def reparameterisation(
    mu: Annotated[float, typer.Option(help="Mean of q.")] = 0.0,
    sigma: Annotated[float, typer.Option(help="Its standard deviation.")] = 1.0,
    draws: Annotated[int, typer.Option(help="Of each estimate.")] = 20_000,
    rate: Annotated[float, typer.Option("--lr", help="Learning rate of the descent that is drawn.")] = 0.1,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Gradients by the score function and by reparameterisation, and why (μ, log σ²) and not (μ, σ)."""
    from zatlas import explain
    from zatlas.console import console

    view = _shown(
        lambda at: explain.reparameterisation(mu=mu, sigma=sigma * 4 ** (1 - at), draws=draws, rate=rate, seed=seed),
        out,
    )
    if not json:
        columns = (
            "gradient in",
            "estimator",
            "exact",
            "mean",
            "± s.e.",
            "variance of a draw",
            "draws for the same error",
        )
        rows = [
            (
                row["parameter"], row["estimator"], f"{row['exact']:.4g}", f"{row['mean']:.4g}",
                f"{row['standard_error']:.2g}", f"{row['variance']:.4g}", f"× {row['factor']:,.1f}",
            )
            for row in view.facts["gradients"]
        ]  # fmt: skip
        console.print(_table(columns, rows))
    show(Path("."), out, "reparameterisation", json, view)


def _between(first: list[float], other: list[float], at: float) -> list[float]:
    """On the way from one list to another; the other where they do not go together, which the lesson will say."""
    if at == 1 or len(first) != len(other):
        return other
    return [(1 - at) * a + at * b for a, b in zip(first, other, strict=True)]


def _fit(out: Path | None) -> View:
    """Moving: the bumps of p part."""
    from zatlas import explain

    return _shown(lambda at: explain.kl_fit(means=(-2.0 * at, 2.0 * at)), out)


def _curves(out: Path | None) -> View:
    """Moving: N(3, 0.3²) on its way to the prior."""
    from zatlas import explain

    if not moves(out):
        return explain.kl_curves()
    return _shown(lambda at: explain.gaussian_kl([3.0 * (1 - at)], [[0.3 ** (2 * (1 - at))]], draws=1000), out)


def _shown(lesson: Callable[[float], View], out: Path | None) -> View:
    """The lesson as it was asked for; the way to it, too, where it is to move."""
    from zatlas.explain.film import film

    return film(lesson) if moves(out) else lesson(1.0)


def _terms(view: View) -> Rows:
    nats = lambda value: "∞" if value is None else f"{value:.4f}"
    names = ("p", "q", "p_log_p_q", "q_log_q_p")
    rows = [(str(row["outcome"]), *(nats(row[name]) for name in names)) for row in view.facts["terms"]]
    return [*rows, ("sum", "1.0000", "1.0000", nats(view.facts["kl_pq_nats"]), nats(view.facts["kl_qp_nats"]))]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> object:
    """Columns of words to the left, columns of numbers to the right."""
    from rich.table import Table

    rows = list(rows)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for i, name in enumerate(columns):
        number = all(row[i][-1:].isdigit() or row[i] == "∞" for row in rows)
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _sides(option: str, text: str) -> tuple[int, int]:
    """``4`` or ``4x6`` as (height, width).

    Raises:
        UsageError: no whole numbers.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(
            f"{option} wants a whole number for both sides or HEIGHTxWIDTH, as 4x6, and {text!r} is not that."
        )
    return int(parts[0]), int(parts[-1])


def _numbers(option: str, text: str) -> list[float]:
    """``0.1,0.4,0.5`` as numbers.

    Raises:
        UsageError: something else.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} wants numbers such as 0.1,0.4,0.5, and {text!r} is not that.") from None


def _matrix(option: str, text: str) -> list[list[float]]:
    """``1,0.5;0.5,2`` as rows; a single row is a diagonal.

    Raises:
        UsageError: no numbers, or rows of different length.
    """
    rows = [_numbers(option, row) for row in text.split(";")]
    if len(rows) == 1:
        return [[value if i == j else 0.0 for j in range(len(rows[0]))] for i, value in enumerate(rows[0])]
    if len({len(row) for row in rows}) > 1:
        raise UsageError(f"{option} wants rows of the same length, as 1,0.5;0.5,2, and {text!r} is not that.")
    return rows
