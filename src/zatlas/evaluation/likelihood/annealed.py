"""Annealed importance sampling: chains of Hamiltonian Monte Carlo from the prior to the posterior, and back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.evaluation.likelihood.shared import Progress, only_level, split
from zatlas.evaluation.likelihood.weights import Running, sampling_error, settled_by, trust
from zatlas.training import Precision, autocast, forked_rng
from zatlas.training.precision import Products
from zatlas.types import Batch, Infers

Prior = Callable[[Tensor | None], Distribution]

ACCEPTANCE = 0.65  # the best for HMC in many dimensions (Neal 2011, section 5.4.4.3; Wu et al. 2017)
PILOT_CHAINS = 4
FIRST_STEP, GAIN = 0.5, 0.3  # of the step size, and of its logarithm's adaptation
JITTER = 0.2  # else a trajectory may be a whole period of the posterior, and end where it began
STEEPNESS = 4.0


def temperatures_path(count: int) -> Tensor:
    """0 = beta_0 < ... < beta_T = 1, ``[T + 1]``, a sigmoid: dense at both ends, where the target changes fastest.

    Grosse et al. 2015, section 5.
    """
    path = torch.sigmoid(STEEPNESS * torch.linspace(-1, 1, count + 1, dtype=torch.float64))
    return (path - path[0]) / (path[-1] - path[0])


class State(NamedTuple):
    """Where the chains are: z ``[C, B, D]``, both log densities ``[C, B]`` and their gradients in z ``[C, B, D]``."""

    z: Tensor
    log_prior: Tensor
    log_likelihood: Tensor
    prior_slope: Tensor
    likelihood_slope: Tensor

    def log_target(self, beta: float) -> Tensor:
        """log p(z) + beta log p(x|z), ``[C, B]``."""
        return self.log_prior + beta * self.log_likelihood

    def slope(self, beta: float) -> Tensor:
        return self.prior_slope + beta * self.likelihood_slope


@dataclass(frozen=True)
class Chains:
    """C chains for each of B examples.

    Attributes:
        model: generates, differentiably in z.
        prior: p(z|y).
        batch: the examples.
        leapfrogs: steps of one trajectory.
        device: that the model is on.
        precision: of the networks.
        told: is told of chains, summed over the examples, that have gone one temperature further.
    """

    model: Infers
    prior: Distribution
    batch: Batch
    leapfrogs: int
    device: torch.device
    precision: Precision
    told: Callable[[int], None] = lambda chains: None

    def at(self, z: Tensor) -> State:
        """The state at z ``[C, B, D]``."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            log_prior = self.prior.log_prob(z)
            with autocast(self.device, self.precision):
                px = self.model.generate(y=self.batch.y, z=(z,)).px
            log_likelihood = px.log_prob(self.batch.x)
            (prior_slope,) = torch.autograd.grad(log_prior.sum(), z)
            (likelihood_slope,) = torch.autograd.grad(log_likelihood.sum(), z)
        return State(z.detach(), log_prior.detach(), log_likelihood.detach(), prior_slope, likelihood_slope)

    def start(self, chains: int) -> State:
        """At draws from the prior."""
        shape = (chains,) if self.prior.batch_shape else (chains, len(self.batch.x))
        return self.at(self.prior.sample(shape))

    def move(self, state: State, beta: float, step: Tensor) -> tuple[State, Tensor]:
        """One trajectory that leaves p(z) p(x|z)^beta as it is (Neal 2011, figure 2), and its acceptance probability.

        Args:
            state: where the chains are.
            beta: the inverse temperature.
            step: size of a leapfrog step for each example, ``[B]``.
        """
        momentum = torch.randn_like(state.z)
        size = (step * (1 + JITTER * (2 * torch.rand_like(state.log_prior) - 1)))[..., None]
        velocity = momentum + size / 2 * state.slope(beta)
        new = state
        for i in range(self.leapfrogs):
            new = self.at(new.z + size * velocity)
            velocity = velocity + (size if i < self.leapfrogs - 1 else size / 2) * new.slope(beta)
        kinetic = 0.5 * (velocity.square() - momentum.square()).sum(-1)
        self.told(kinetic.numel())
        # a trajectory that left for infinity is refused
        chance = (new.log_target(beta) - state.log_target(beta) - kinetic).exp().clamp_max(1).nan_to_num(0)
        taken = torch.rand_like(chance) < chance
        fields = zip(new, state, strict=True)
        return State(*(torch.where(taken if a.dim() == 2 else taken[..., None], a, b) for a, b in fields)), chance

    def pilot(self, path: Tensor) -> Tensor:
        """Step sizes ``[T, B]`` with which about 0.65 of the trajectories are accepted, found by chains of their own.

        Sizes that followed the chains which are weighed would bias the weights.
        """
        state = self.start(PILOT_CHAINS)
        log_step = torch.full((len(self.batch.x),), math.log(FIRST_STEP), device=self.device)
        steps = []
        for beta in path[1:].tolist():
            steps.append(log_step.exp())
            state, chance = self.move(state, beta, steps[-1])
            log_step = log_step + GAIN * (chance.mean(0) - ACCEPTANCE)
        return torch.stack(steps)

    def forward(self, path: Tensor, steps: Tensor, chains: int) -> tuple[Tensor, Tensor]:
        """Log weights of chains from the prior to the posterior, and the rate of acceptance; ``[C, B]``, ``[B]``.

        The mean weight is p(x) (Neal 2001, equation 11), so the log of an average of weights is too low in the mean.
        """
        state = self.start(chains)
        total, accepted = torch.zeros_like(state.log_prior), torch.zeros_like(steps[0])
        betas = path.tolist()
        for before, beta, step in zip(betas, betas[1:], steps, strict=False):
            total = total + (beta - before) * state.log_likelihood
            state, chance = self.move(state, beta, step)
            accepted = accepted + chance.mean(0)
        return total, accepted / len(steps)

    def reverse(self, path: Tensor, steps: Tensor, chains: int, z: Tensor) -> Tensor:
        """Log weights ``[C, B]`` of chains from the posterior, at exact draws z ``[B, D]``, to the prior.

        The mean of one over the weight is one over p(x), so minus the log of an average of those is too high in the
        mean (Grosse et al. 2015, section 4.1).
        """
        state = self.at(z.expand(chains, *z.shape))
        total = torch.zeros_like(state.log_prior)
        betas = path.tolist()
        for before, beta, step in reversed(list(zip(betas, betas[1:], steps, strict=False))):
            state, _ = self.move(state, beta, step)
            total = total + (beta - before) * state.log_likelihood
        return total


@dataclass(frozen=True)
class Annealed:
    """What the chains found.

    Attributes:
        log_likelihood: ``[N]``, in nats; a bound in the mean.
        effective_sample_size: of each example's chains, ``[N]``.
        acceptance: mean over its chains and temperatures, ``[N]``.
        variance: of the estimate, for the chains alone, ``[N]`` in nats squared; NaN for fewer than 5.
        khat: shape of the tail of the chains' weights, ``[N]``; NaN for fewer than 25.
        chains: C.
        temperatures: T.
        settles: what would tell the gap where the weights cannot, as a clause.
    """

    log_likelihood: Tensor
    effective_sample_size: Tensor
    acceptance: Tensor
    variance: Tensor
    khat: Tensor
    chains: int
    temperatures: int
    settles: str

    def figures(self) -> dict[str, Figure]:
        """``log_likelihood``, ``effective_sample_size``, ``acceptance``, ``sampling_error``, ``high_khat``."""
        estimator = f"annealed importance sampling, {self.chains} chains of {self.temperatures} temperatures"
        heavy, caution = trust(self.khat, self.chains, "chains", self.settles)
        return {
            "log_likelihood": mean_figure(self.log_likelihood, estimator, caution=caution),
            "effective_sample_size": mean_figure(self.effective_sample_size, estimator, unit="chains"),
            "acceptance": mean_figure(self.acceptance, estimator, unit=""),
            **sampling_error(self.variance, estimator),
            **heavy,
        }


def annealed_importance(
    model: Infers,
    batches: Batches,
    *,
    chains: int = 16,
    temperatures: int = 500,
    leapfrogs: int = 10,
    prior: Prior | None = None,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    rows_at_once: int = 2000,
    progress: Progress | None = None,
) -> Annealed:
    r"""log p(x) by annealed importance sampling for every example, which needs no encoder.

    Along p(z) p(x|z)^beta_t, from the prior to the posterior, each chain's weight is the product of
    p(x|z_t)^(beta_t+1 - beta_t) (Neal 2001; Wu et al. 2017, section 2.2), with one trajectory of HMC at each beta.

    Args:
        model: generates, differentiably in z; one layer. Infers too, unless ``prior`` is given.
        batches: N examples, in any order.
        chains: C, averaged for each example.
        temperatures: T; the cost is C T ``leapfrogs`` gradients for each example, and a quarter more or so for the
            chains that find the step sizes.
        leapfrogs: steps of one trajectory.
        prior: ``y -> p(z|y)``; None: the model's own.
        device: that the model is on.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        rows_at_once: images decoded at once, which bounds the memory.
        progress: is told how many examples were added, in parts, as one may take minutes.

    Raises:
        UsageError: more than one layer of latent units.
    """
    model.eval()
    path, found = temperatures_path(temperatures), []
    with torch.no_grad(), forked_rng(device, seed=seed):
        for batch in batches.epoch(0):
            for part in split(batch, max(1, rows_at_once // max(chains, PILOT_CHAINS))):
                run = _chains(model, part, prior, leapfrogs, device, precision)
                run = replace(run, told=_in_examples(progress, temperatures * (PILOT_CHAINS + chains)))
                log_w, acceptance = run.forward(path, run.pilot(path), chains)
                weights = Running(chains)
                weights.add(log_w)
                found.append(torch.cat([weights.table()[-4:], acceptance.double().cpu()[None]]))
    log_likelihood, sizes, variance, khat, acceptances = torch.cat(found, 1)
    settles = settled_by(run.prior.event_shape)
    return Annealed(log_likelihood, sizes, acceptances, variance, khat, chains, temperatures, settles)


@dataclass(frozen=True)
class Bidirectional:
    """log p(x) of data drawn from the model, between two bounds.

    Attributes:
        x: the draws, ``[N, *data]``.
        lower: by chains from the prior, ``[N]``, in nats.
        upper: by chains from the exact posterior, ``[N]``, in nats.
        estimator: what the figures call it.
    """

    x: Tensor
    lower: Tensor
    upper: Tensor
    estimator: str

    def figures(self) -> dict[str, Figure]:
        """``lower_bound``, ``upper_bound`` and their ``gap``: how far annealing is off for this model, at most."""
        values = {"lower_bound": self.lower, "upper_bound": self.upper, "gap": self.upper - self.lower}
        return {name: mean_figure(value, self.estimator, over="draws of the model") for name, value in values.items()}


def bidirectional(
    model: Infers,
    count: int | None = None,
    y: Tensor | None = None,
    *,
    chains: int = 16,
    temperatures: int = 500,
    leapfrogs: int = 10,
    prior: Prior | None = None,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    rows_at_once: int = 2000,
    progress: Progress | None = None,
) -> Bidirectional:
    """log p(x) from below and from above, on x drawn from the model together with the z that made it.

    That z is an exact draw from the posterior, whence chains run back to the prior (Grosse et al. 2015; Wu et al.
    2017, section 2.3). A small gap says that as many chains and temperatures serve on data like the model's own.

    Args:
        model: as for :func:`annealed_importance`, and its px draws.
        count: N, how many examples to draw; None: one for each row of y.
        y: labels ``[N, Y]``.
        chains: C, forward and as many backward.
        temperatures: T.
        leapfrogs: steps of one trajectory.
        prior: ``y -> p(z|y)``; None: the model's own.
        device: that the model is on.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        rows_at_once: images decoded at once.
        progress: is told how many examples were added, in parts, as one may take minutes.
    """
    model.eval()
    path, done = temperatures_path(temperatures), 0
    lower: list[Tensor] = []
    upper: list[Tensor] = []
    with torch.no_grad(), forked_rng(device, seed=seed):
        with autocast(device, precision):
            drawn = model.generate(count, y)
        (codes,) = drawn.z
        x = drawn.px.sample()[0]
        for part in split(Batch(x, y), max(1, rows_at_once // max(chains, PILOT_CHAINS))):
            run = _chains(model, part, prior, leapfrogs, device, precision)
            run = replace(run, told=_in_examples(progress, temperatures * (PILOT_CHAINS + 2 * chains)))
            steps = run.pilot(path)
            log_w, _ = run.forward(path, steps, chains)
            lower.append((log_w.logsumexp(0) - math.log(chains)).cpu())
            back = run.reverse(path, steps, chains, codes[0, done : done + len(part.x)])
            upper.append((math.log(chains) - (-back).logsumexp(0)).cpu())
            done += len(part.x)
    name = f"bidirectional Monte Carlo on draws of the model, {chains} chains of {temperatures} temperatures"
    return Bidirectional(x.cpu(), torch.cat(lower), torch.cat(upper), name)


def _in_examples(progress: Progress | None, moves: int) -> Callable[[int], None]:
    """Tells of chains that moved as of parts of an example, whose chains make so many moves together."""
    return lambda chains: progress(chains / moves) if progress else None


@dataclass(frozen=True)
class Price:
    """What annealing takes.

    Attributes:
        gflop: billions of operations in the products of decoding one image and of its gradient in z.
        seconds: that one takes here, by a stopwatch.
        gradients: for one example, of all its chains.
    """

    gflop: float
    seconds: float
    gradients: int


def price(
    model: Infers,
    batch: Batch,
    *,
    chains: int = 16,
    temperatures: int = 500,
    leapfrogs: int = 10,
    both_ways: bool = False,
    device: torch.device,
    precision: Precision = "fp32",
) -> Price:
    """What the chains of an example will take, from one gradient of those of a few; the random state is left as it was.

    Args:
        model, chains, temperatures, leapfrogs, device, precision: as for :func:`annealed_importance`.
        batch: a few examples.
        both_ways: whether chains run back as well, as those of :func:`bidirectional` do.
    """
    model.eval()
    with torch.no_grad(), forked_rng(device, seed=0):
        run = _chains(model, batch, None, leapfrogs, device, precision)
        with Products() as products:
            run.start(chains)
        start = time.perf_counter()
        run.start(chains)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
    images = chains * len(batch.x)
    gradients = (PILOT_CHAINS + (2 if both_ways else 1) * chains) * temperatures * leapfrogs
    return Price(products.flops / 1e9 / images, seconds / images, gradients)


def _chains(
    model: Infers, batch: Batch, prior: Prior | None, leapfrogs: int, device: torch.device, precision: Precision
) -> Chains:
    if prior is not None:
        p = prior(batch.y)
    else:
        with autocast(device, precision):
            p = only_level(model, batch).p
    return Chains(model, p, batch, leapfrogs, device, precision)
