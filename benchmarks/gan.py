"""Do GANs cover what they are shown? 25 Gaussians on a grid, a density that can be met exactly, and Stacked MNIST.

python benchmarks/gan.py grid                    # a few minutes of one core
python benchmarks/gan.py stacked --steps 2000    # 1000 modes: three random digits as red, green and blue

The grid has 5x5 Gaussians of sigma 0.05, 2 apart. A mode is covered where one of 2500 draws lies within 4 sigma of it;
`rarest` is the share of the mode drawn least, times 25. `value` is E log D(x) + E log(1 - D(G(z))), -1.386 where the
critic knows nothing. Stacked MNIST counts modes by a classifier on 26,000 draws, and KL(draws || uniform) over 1000.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from common import need_shared, parser, show
from torch import Tensor, nn

from zatlas.data import ArraySource, Batches, counter_rng, open_source
from zatlas.models.generator import Generator
from zatlas.networks import ConvEncoder, Decoder, Standardise, StandardNormal
from zatlas.networks.adversarial import ImplicitLikelihood, ResidualCritic, ResidualGenerator
from zatlas.networks.adversarial_conv import ResidualConvCritic, ResidualConvGenerator
from zatlas.objectives import Objective
from zatlas.objectives.adversarial import NonSaturating, Relativistic
from zatlas.training import Budget, Game, Optimisation, Schedule, Trainer
from zatlas.types import Batch

SIGMA, CPU = 0.05, torch.device("cpu")
CENTRES = torch.cartesian_prod(*[torch.arange(-4.0, 5.0, 2.0)] * 2)
DRAWS = 26_000  # of Stacked MNIST, the number in the literature
IMAGE = (3, 28, 28)


def fit(game: Game, batches: Any, steps: int, rate: float, betas: tuple[float, float], average: float) -> Trainer:
    trainer = Trainer(
        game,
        batches,
        budget=Budget(steps=steps),
        optimisation=Optimisation("adam", rate, betas),
        schedule=Schedule("cosine", 0.02),
        device=batches.device,
        threads=1,
        average=average,
    )
    trainer.fit()
    return trainer


@torch.no_grad()
def value(game: Game, x: Tensor) -> float:
    """V(D, G) of the weights in hand over x and as many draws."""
    return game.eval()("critic", Batch(x, None), 0).parts["value"].mean().item()


def toy(x: Tensor, objective: Callable[..., Objective], width: int, blocks: int, sines: int = 0) -> Game:
    shift, scale = x.mean(0), x.std(0)
    net = ResidualGenerator(2, width, (2,), blocks=blocks, sines=sines)
    decoder = Decoder(net, ImplicitLikelihood(1, squash=False, shift=shift, scale=scale))
    critic = ResidualCritic(2, width, blocks=blocks, sines=sines)
    return Game(Generator(decoder, StandardNormal(2), 2), objective(critic, standardise=Standardise(shift, scale)))


def points(n: int) -> Tensor:
    return CENTRES[torch.randint(len(CENTRES), (n,))] + SIGMA * torch.randn(n, 2)


def vectors(x: Tensor, seed: int, batch_size: int) -> Batches:
    return Batches(ArraySource("points", x.numpy()), np.arange(len(x)), batch_size=batch_size, seed=seed)


@torch.no_grad()
def hits(game: Game, n: int) -> Tensor:
    """How many of n draws lie within 4 sigma of each centre, ``[25]``."""
    distance, mode = torch.cdist(game.eval().model.generate(n).px.mean[0], CENTRES).min(1)
    return mode[distance < 4 * SIGMA].bincount(minlength=25)


def grid(seed: int, steps: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    x = points(100_000)
    # what is not within 4 sigma lies on bridges between modes, which a continuous G narrows as long as it is trained.
    # Of the average's draws, seed 0: three blocks, gamma 0.02, 3000 steps at 1e-3: 24 % without sines, 52 % with.
    # Two blocks with sines, 4000 steps at 5e-3: 76 %, and 84 % with gamma falling to 0.002; after 8000 and 12000 89 %.
    # Three blocks at 3e-3 with gamma falling to 0.002: 94 % after 12000; twice the width, 7000 steps at 5e-3: 59 %.
    game = toy(x, partial(Relativistic, gamma=0.02, final=0.002, steps=int(0.8 * steps)), 128, 3, sines=64)
    start = time.perf_counter()
    best = fit(game, vectors(x, seed, 128), steps, 3e-3, (0.0, 0.99), 0.999).best_game
    seconds = time.perf_counter() - start
    few, many = (hits(best, n) for n in (2500, 50_000))
    return {
        "seed": seed,
        "seconds": seconds,
        "modes of 25": int((few > 0).sum()),
        "within 4 sigma": many.sum().item() / 50_000,
        "rarest": 25 * many.min().item() / 50_000,
        "value": value(best, points(20_000)),
    }


def matched(seed: int, steps: int) -> dict[str, Any]:
    """The course's objective on N(0, I), which a linear G meets: the critic should end knowing nothing."""
    torch.manual_seed(seed)
    x = torch.randn(100_000, 2)
    game = toy(x, NonSaturating, 64, 1)
    start = time.perf_counter()
    trainer = fit(game, vectors(x, seed, 256), steps, 1e-3, (0.5, 0.999), 0.999)
    seconds = time.perf_counter() - start
    fresh = torch.randn(20_000, 2)
    with torch.no_grad():
        draws = trainer.best_game.eval().model.generate(20_000).px.mean[0]
    return {
        "seed": seed,
        "seconds": seconds,
        "value": value(trainer.best_game, fresh),
        "largest error of mean": draws.mean(0).abs().max().item(),
        "of covariance": (draws.T.cov() - torch.eye(2)).abs().max().item(),
    }


class Stacked:
    """Batches of three random digits as the channels of one picture; none is stored."""

    def __init__(self, digits: Tensor, batch_size: int, seed: int) -> None:
        self.digits, self.batch_size, self.seed, self.device = digits, batch_size, seed, CPU

    @property
    def steps_per_epoch(self) -> int:
        return len(self.digits) // self.batch_size

    def __len__(self) -> int:
        return len(self.digits)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        for step in range(start, self.steps_per_epoch):
            draw = torch.Generator().manual_seed(counter_rng.key(self.seed, number, step) >> 1)
            rows = torch.randint(len(self.digits), (self.batch_size, 3), generator=draw)
            yield Batch(self.digits[rows] / 255, None)


def classifier(x: Tensor, y: Tensor, epochs: int = 3) -> nn.Module:
    """Digits ``[B, 1, 28, 28]`` to their log odds ``[B, 10]``."""
    net = ConvEncoder((1, 28, 28), (16, 32, 64), 64, 10)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows][:, None] / 255, None), y[rows]).backward()
            optimizer.step()
    return net.requires_grad_(False)


def numbers(net: nn.Module, x: Tensor) -> Tensor:
    """What the classifier reads off pictures ``[N, 3, 28, 28]`` in [0, 1]: 0 to 999."""
    digits = net(x.reshape(-1, 1, 28, 28), None).argmax(1).view(-1, 3)
    return digits @ torch.tensor([100, 10, 1])


def stacked(seed: int, steps: int, batch_size: int, widths: tuple[int, ...]) -> dict[str, Any]:
    data = open_source(str(need_shared() / "data" / "mnist"))
    rows = np.arange(len(data))
    x, y = torch.from_numpy(data.read(rows))[:, 0], torch.from_numpy(data.read_labels(rows))
    train = torch.from_numpy(np.setdiff1d(rows, data.test_rows))
    torch.manual_seed(seed)
    net = classifier(x[train], y[train])
    test = torch.from_numpy(data.test_rows)
    accuracy = (net(x[test][:, None] / 255, None).argmax(1) == y[test]).float().mean().item()
    half = torch.tensor(0.5)
    # not through the sigmoid: a few dozen steps in, G painted pictures of one colour on its flat ends and stayed there
    likelihood = ImplicitLikelihood(3, squash=False, shift=half, scale=half)
    model = Generator(Decoder(ResidualConvGenerator(64, widths, IMAGE), likelihood), StandardNormal(64), 64)
    game = Game(model, Relativistic(ResidualConvCritic(IMAGE, widths), standardise=Standardise(half, half)))
    start = time.perf_counter()
    best = fit(game, Stacked(x[train], batch_size, seed), steps, 1e-3, (0.0, 0.99), 0.999).best_game
    seconds = time.perf_counter() - start
    with torch.no_grad():
        found = [numbers(net, best.eval().model.generate(n).px.mean[0].clamp(0, 1)) for n in [1000] * (DRAWS // 1000)]
    share = torch.cat(found).bincount(minlength=1000) / DRAWS
    return {
        "seed": seed,
        "steps": steps,
        "seconds": seconds,
        "modes of 1000": int((share > 0).sum()),
        "KL nats": torch.xlogy(share, 1000 * share).sum().item(),
        "classifier": accuracy,
    }


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("what", choices=["grid", "stacked"])
    options.add_argument("--steps", type=int, help="of training (default: 12000 and 2000)")
    options.add_argument("--batch-size", type=int, default=64, help="of stacked (default 64)")
    options.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64], help="of stacked's stages")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    seeds = range(arguments.repeats)
    if arguments.what == "stacked":
        rows = [stacked(s, arguments.steps or 2000, arguments.batch_size, tuple(arguments.widths)) for s in seeds]
        show("Stacked MNIST: convolutional, relativistic with R1 and R2", rows, arguments.json)
        return
    show("A density that G can meet: N(0, I), the course's objective", [matched(s, 1500) for s in seeds])
    rows = [grid(s, arguments.steps or 12_000) for s in seeds]
    show("25 Gaussians: fully connected, relativistic with R1 and R2", rows, arguments.json)


if __name__ == "__main__":
    main()
