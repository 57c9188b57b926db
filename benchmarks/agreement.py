"""Do the estimators of log p(x) agree: on a linear model with the exact value, on a two-unit VAE with a grid.

    python benchmarks/agreement.py                 # some four minutes
    python benchmarks/agreement.py --seconds 300   # a better trained VAE
    python benchmarks/agreement.py --run RUN       # a two-unit VAE of your own

PPCA of MNIST knows log p(x), so all others are held against it, on held-out images and on draws of its own (where
bidirectional Monte Carlo must hold it between its bounds). The two-unit VAE has two layers of 200 tanh units;
it is trained by the importance-weighted bound, whose encoder covers its posteriors better than one of the ELBO.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from common import need_shared, parser, show
from torch import Tensor

from zatlas.config import make_config
from zatlas.evaluation.likelihood import annealed_importance, bidirectional, importance_weighted, integrated
from zatlas.runs.opened import Run
from zatlas.runs.training import train

CPU = torch.device("cpu")
IMPORTANCE = 5000


def row(model: str, name: str, found: Tensor, truth: Tensor, error: float) -> dict[str, Any]:
    """One estimator beside the truth: mean difference and its own error, and the largest of any image."""
    difference = (found - truth).double()
    return {
        "model": model,
        "estimator": name,
        "nats": found.mean().item(),
        "less truth": difference.mean().item(),
        "own error": error,
        "worst image": difference.abs().max().item(),
    }


def estimates(experiment: Run, n: int, temperatures: int) -> list[tuple[str, Tensor, float]]:
    """(name, log p(x) ``[n]``, error of the mean by the draws) of every estimator that takes any model."""
    model, shown = experiment.model, lambda: experiment.batches(experiment.spread("test", n))
    found = []
    for share in (0.0, 0.2):
        curve = importance_weighted(model, shown(), samples=IMPORTANCE, device=CPU, prior_share=share)
        error = curve.figures()["sampling_error"].value
        found.append((f"IWAE-{IMPORTANCE}" + (f", {share:.0%} from the prior" if share else ""), curve, error))
    annealed = annealed_importance(model, shown(), temperatures=temperatures, device=CPU)
    error = annealed.figures()["sampling_error"].value
    found.append((f"AIS, {annealed.chains} chains of {temperatures}", annealed, error))
    return [(name, one.log_likelihood.double(), error) for name, one, error in found]


def trained(folder: Path, **sections: Any) -> Run:
    return train(make_config(("agreement", sections)), out=folder)


def linear(folder: Path, n: int, temperatures: int) -> list[dict[str, Any]]:
    data = {"source": str(need_shared() / "data" / "mnist"), "resize": 14}
    experiment = trained(folder, data=data, model={"kind": "ppca", "latent_dim": 10})
    x = torch.cat([batch.x for batch in experiment.batches(experiment.spread("test", n)).epoch(0)])
    exact = experiment.model.log_marginal(x).double()
    rows = [
        row("PPCA, 10 units", name, found, exact, error)
        for name, found, error in estimates(experiment, n, temperatures)
    ]
    both = bidirectional(experiment.model, n, temperatures=temperatures, device=CPU)
    truth = experiment.model.log_marginal(both.x).double()
    for name, bound in (("BDMC from below", both.lower), ("BDMC from above", both.upper)):
        rows.append(row("PPCA, its own draws", name, bound.double(), truth, math.nan))
    return rows


def plane(folder: Path, run: Path | None, n: int, temperatures: int, seconds: float) -> list[dict[str, Any]]:
    if run is not None:
        experiment = Run(run, device="cpu", data=str(need_shared() / "data" / "mnist"))
    else:
        experiment = trained(
            folder,
            data={"source": str(need_shared() / "data" / "mnist"), "binarise": "dynamic"},
            model={"latent_dim": 2, "network": "burda"},
            objective={"kind": "iwae", "samples": 10},
            training={"seconds": seconds, "learning_rate": 2e-3},
        )
    grid = integrated(experiment.model, experiment.batches(experiment.spread("test", n)), conditional=False, device=CPU)
    truth, error = grid.log_likelihood.double(), grid.error.double().mean().item()
    rows = [row("VAE, 2 units", "quadrature", truth, truth, error)]
    return rows + [row("VAE, 2 units", *one[:2], truth, one[2]) for one in estimates(experiment, n, temperatures)]


def main() -> None:
    p = parser(str(__doc__).splitlines()[0])
    p.add_argument("--images", type=int, default=100)
    p.add_argument("--temperatures", type=int, default=500)
    p.add_argument("--seconds", type=float, default=90, help="of training the two-unit VAE (default 90)")
    p.add_argument("--run", type=Path, help="a two-unit VAE on MNIST to use instead")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = p.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = linear(Path(folder) / "ppca", arguments.images, 8 * arguments.temperatures)
        rows += plane(
            Path(folder) / "plane", arguments.run, arguments.images, arguments.temperatures, arguments.seconds
        )
    show(
        f"log p(x) of {arguments.images} MNIST images; differences from the exact value or the grid",
        rows,
        arguments.json,
    )


if __name__ == "__main__":
    main()
