"""Games against a critic: a generator learns from what the critic says of its draws, and needs no density."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call, vjp
from torch.nn import functional as F

from zatlas.networks.adversarial import spectrally_normalised
from zatlas.networks.conditional import Standardise
from zatlas.networks.declaring import game_units
from zatlas.objectives.objective import Objective
from zatlas.objectives.schedules import ramp
from zatlas.parts import Context, Settings, objective
from zatlas.types import Batch, Generates, Terms

Score = Callable[[Tensor, Tensor | None], Tensor]  # (x, y) -> [B]


def frozen(critic: nn.Module) -> Score:
    """The critic as a function of (x, y) whose own weights get no gradient."""
    weights = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    return lambda x, y: functional_call(critic, weights, (x, y)).float()


def slope(score: Score, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
    """The scores of x ``[B, *data]`` and their squared slopes |grad_x score|^2, ``[B]`` each, differentiable again.

    One pass for both, by vjp and not by ``autograd.grad(create_graph=True)``, which torch.vmap does not let through.
    A score must be of its own example alone: no batch normalisation within.
    """
    scores, pull = vjp(lambda values: score(values, y).float(), x)[:2]
    (gradient,) = pull(torch.ones_like(scores))
    return scores, gradient.flatten(1).square().sum(1)


class GameSettings(Settings):
    """Those of every game against a critic."""

    spectral_norm: bool = Field(False, description="in the critic")


class PenaltySettings(GameSettings):
    """The settings of a game whose critic has a gradient penalty."""

    penalty: float = Field(1.0, ge=0, description="weight of the gradient penalty")
    penalty_every: int = Field(
        0,
        ge=0,
        le=10**15,
        description="charged at every so manieth step, that many times; 0: 8 for convolutions, else 1",
    )

    def resolve(self, context: Context) -> None:
        self.penalty_every = penalty_every(self, context)


class RelativisticSettings(PenaltySettings):
    """Those of the relativistic game."""

    penalty_final: float | None = Field(None, gt=0, description="what the penalty falls to, geometrically")
    penalty_steps: int = Field(0, ge=0, le=10**15, description="over so many steps")

    @model_validator(mode="after")
    def _together(self) -> RelativisticSettings:
        if (self.penalty_final is None) != (self.penalty_steps == 0):
            raise ValueError(
                "objective.penalty_final and objective.penalty_steps go together: what the penalty falls to, and over "
                "how many steps"
            )
        return self


class WassersteinSettings(PenaltySettings):
    """Those of the Wasserstein game."""

    penalty: float = Field(10.0, ge=0, description="weight of the gradient penalty")
    critic_steps: int = Field(5, ge=1, le=10**6, description="steps of the critic for one of the generator")


LAZY = 8  # steps between two charges of a convolutional critic's penalty


def penalty_every(settings: PenaltySettings, context: Context) -> int:
    """The interval asked for; else 8 for networks whose penalty is dear: fully connected ones hardly notice it."""
    return settings.penalty_every or (LAZY if context.network.facts.get("dear_penalty") else 1)


def critic_of(settings: GameSettings, context: Context) -> tuple[nn.Module, nn.Module]:
    """The critic of the network, and what standardises x for it: values in [0, 1] to [-1, 1], as the papers have it."""
    critic = context.make("network").critic()
    if settings.spectral_norm:
        critic = spectrally_normalised(critic)
    return critic, Standardise(*game_units(context))


class Adversarial(Objective):
    """A game of two players over one batch: the critic compares x with draws of the model, the model answers.

    Both meet standardised x, so that slopes do not depend on the data's unit. The critic's step leaves the model
    without gradient, and the model's the critic. Draws are made anew in each, as many as there are x.

    Args:
        critic: ``(x, y) -> [B]``.
        standardise: applied to x and to draws; for x in [0, 1] (x - 1/2) / (1/2), as the papers have it.
        penalty_every: a gradient penalty, where there is one, is charged at every so manieth step, that many times.
    """

    players: ClassVar[Mapping[str, str]] = {"critic": "objective.critic.", "model": "model."}

    def __init__(self, critic: nn.Module, standardise: nn.Module | None = None, *, penalty_every: int = 1) -> None:
        super().__init__()
        self.critic = critic
        self.standardise = standardise or nn.Identity()
        self.penalty_every = penalty_every

    def forward(self, player: str, model: Generates, batch: Batch, step: Tensor | int) -> Terms:
        x, y = self.standardise(batch.x), batch.y
        if player == "critic":
            with torch.no_grad():
                draws = self._draw(model, batch)
            return self.critic_loss(x, draws, y, step)
        return Terms(self.generator_loss(frozen(self.critic), x, self._draw(model, batch), y), {})

    def _draw(self, model: Generates, batch: Batch) -> Tensor:
        return self.standardise(model.generate(len(batch.x), batch.y).px.mean[0])

    def charge(self, step: Tensor | int) -> int:
        """By how much the critic's gradient penalty is multiplied at ``step``.

        A penalty differentiates the critic twice, which more than doubles the cost of its step. Charged k times over
        at every k-th step alone its mean over steps is the same (lazy regularisation, Karras et al. 2020, section 3.1,
        where k is 16). A game that is not being trained is asked for its loss, and the penalty is charged once.
        """
        if not self.training:
            return 1
        return 0 if int(step) % self.penalty_every else self.penalty_every

    @abstractmethod
    def critic_loss(self, x: Tensor, draws: Tensor, y: Tensor | None, step: Tensor | int = 0) -> Terms:
        """The critic's terms for x and draws, both ``[B, *data]``."""

    @abstractmethod
    def generator_loss(self, score: Score, x: Tensor, draws: Tensor, y: Tensor | None) -> Tensor:
        """The model's loss ``[B]`` under the critic's ``score``."""


def agreement(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """What the critic thinks by its log odds of x and of draws ``[B]``.

    ``value`` is V(D, G) = E log D(x) + E log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1), -2 log 2 = -1.386 nats
    where the critic cannot tell one from the other and 0 where it always can; ``d_real`` and ``d_fake`` are the
    probabilities D that it gives them.
    """
    value = F.logsigmoid(real) + F.logsigmoid(-fake)
    return {"value": value.detach(), "d_real": real.detach().sigmoid(), "d_fake": fake.detach().sigmoid()}


def charged(terms: Terms, penalty: Tensor, times: int) -> Terms:
    """The terms with ``penalty`` ``[B]`` in the loss so many times; among the parts it stands as it is, once."""
    return Terms(terms.loss + times * penalty, {**terms.parts, "penalty": penalty.detach()})


@objective(
    "gan",
    when="the non-saturating game of 2014, as courses teach it: watch V(D,G) against -log 4",
    source="Goodfellow et al. 2014",
    needs="game",
    order=10,
    settings=GameSettings,
    defaults={"training": {"beta1": 0.5, "beta2": 0.999, "ema": 0.0}},
)
class NonSaturating(Adversarial):
    """The critic's loss is -V(D, G), the model's -log D(G(z)) (Goodfellow et al. 2014, equation 1 and section 3).

    The gradient of -log D does not vanish while the critic wins, as that of log(1 - D) does.
    """

    @classmethod
    def of(cls, settings: GameSettings, context: Context) -> NonSaturating:
        """Against the critic of the network."""
        return cls(*critic_of(settings, context))

    def critic_loss(self, x: Tensor, draws: Tensor, y: Tensor | None, step: Tensor | int = 0) -> Terms:
        real, fake = self.critic(x, y).float(), self.critic(draws, y).float()
        return Terms(F.softplus(-real) + F.softplus(fake), agreement(real, fake))

    def generator_loss(self, score: Score, x: Tensor, draws: Tensor, y: Tensor | None) -> Tensor:
        return F.softplus(-score(draws, y))


@objective(
    "relativistic",
    when="relativistic pairing with R1 and R2 penalties: the GAN that converges and keeps all modes",
    source="Huang et al. 2024, section 2",
    needs="game",
    order=9,
    settings=RelativisticSettings,
    defaults={"training": {"learning_rate": 2e-3, "schedule": "cosine", "warmup": 0.02}},
)
class Relativistic(Adversarial):
    r"""Each draw is compared with an x of its own, and slopes at both are charged (Huang et al. 2024, section 2).

    .. math:: L_D = E\,\mathrm{softplus}(D(G(z)) - D(x))
              + \tfrac{\gamma}{2} E\left(|\nabla_x D(x)|^2 + |\nabla_x D(G(z))|^2\right), \quad
              L_G = E\,\mathrm{softplus}(D(x) - D(G(z)))

    The pairing (Jolicoeur-Martineau 2019) has no bad minimum where the model drops a mode (Sun et al. 2020); the two
    penalties R1 and R2 (Mescheder et al. 2018) make it converge. The best D is the log odds of x up to a constant that
    the loss cannot see, so ``value``, ``d_real`` and ``d_fake`` are of D less its middle over the batch.

    Args:
        critic: ``(x, y) -> [B]``, each score of its own example alone.
        gamma: weight of the penalties, in units of standardised x squared.
        final: what gamma falls to, by the same factor at every step until step ``steps``; None: it stays. Large, it
            keeps the critic smooth while draws are far off; small, it lets the critic be as steep as narrow modes are.
        steps: how long it falls.
        standardise: applied to x and to draws.
        penalty_every: as :class:`Adversarial` has it.
    """

    gamma: Tensor
    final: Tensor
    steps: Tensor

    def __init__(
        self,
        critic: nn.Module,
        gamma: float = 1.0,
        *,
        final: float | None = None,
        steps: int = 0,
        standardise: nn.Module | None = None,
        penalty_every: int = 1,
    ) -> None:
        super().__init__(critic, standardise, penalty_every=penalty_every)
        self.register_buffer("gamma", torch.tensor(float(gamma)))
        self.register_buffer("final", torch.tensor(float(gamma if final is None else final)))
        self.register_buffer("steps", torch.tensor(steps))

    @classmethod
    def of(cls, settings: RelativisticSettings, context: Context) -> Relativistic:
        """Against the critic of the network."""
        critic, standardise = critic_of(settings, context)
        return cls(
            critic,
            settings.penalty,
            final=settings.penalty_final,
            steps=settings.penalty_steps,
            penalty_every=penalty_every(settings, context),
            standardise=standardise,
        )

    def critic_loss(self, x: Tensor, draws: Tensor, y: Tensor | None, step: Tensor | int = 0) -> Terms:
        times = self.charge(step)
        if times:
            (real, at_real), (fake, at_fake) = slope(self.critic, x, y), slope(self.critic, draws, y)
        else:
            real, fake = self.critic(x, y).float(), self.critic(draws, y).float()
        middle = 0.5 * (real.mean() + fake.mean())
        terms = Terms(F.softplus(fake - real), agreement(real - middle, fake - middle))
        if not times:
            return terms
        fallen = ramp(step, self.steps)
        penalty = 0.5 * self.gamma ** (1 - fallen) * self.final**fallen * (at_real + at_fake)
        return charged(terms, penalty, times)

    def generator_loss(self, score: Score, x: Tensor, draws: Tensor, y: Tensor | None) -> Tensor:
        return F.softplus(score(x, y) - score(draws, y))


@objective(
    "wasserstein",
    when="Wasserstein distance with gradient penalty: losses that mean something, at five times the work",
    source="Gulrajani et al. 2017, equation 3",
    needs="game",
    order=11,
    settings=WassersteinSettings,
    defaults={"training": {"learning_rate": 1e-4, "beta2": 0.9}},
)
class Wasserstein(Adversarial):
    r"""The distance between x and draws under a critic of slope one (WGAN-GP, Gulrajani et al. 2017, equation 3).

    .. math:: L_D = E\,D(G(z)) - E\,D(x) + \lambda E (|\nabla D(\hat x)| - 1)^2, \quad L_G = -E\,D(G(z))

    with :math:`\hat x` anywhere between an x and a draw. Losses are distances in units of standardised x, not nats.

    Args:
        critic: ``(x, y) -> [B]``, each score of its own example alone.
        weight: lambda.
        critic_steps: the critic moves at every step, the model at the last of so many.
        standardise: applied to x and to draws.
        penalty_every: as :class:`Adversarial` has it.
    """

    unit = ""
    weight: Tensor

    def __init__(
        self,
        critic: nn.Module,
        weight: float = 10.0,
        *,
        critic_steps: int = 5,
        standardise: nn.Module | None = None,
        penalty_every: int = 1,
    ) -> None:
        super().__init__(critic, standardise, penalty_every=penalty_every)
        self.register_buffer("weight", torch.tensor(float(weight)))
        self.critic_steps = critic_steps

    @classmethod
    def of(cls, settings: WassersteinSettings, context: Context) -> Wasserstein:
        """Against the critic of the network."""
        critic, standardise = critic_of(settings, context)
        every = penalty_every(settings, context)
        return cls(
            critic,
            settings.penalty,
            critic_steps=settings.critic_steps,
            standardise=standardise,
            penalty_every=every,
        )

    def plays(self, player: str, step: int) -> bool:
        """The model waits until the critic has had ``critic_steps`` - 1 steps to itself."""
        return player == "critic" or (step + 1) % self.critic_steps == 0

    def critic_loss(self, x: Tensor, draws: Tensor, y: Tensor | None, step: Tensor | int = 0) -> Terms:
        times = self.charge(step)
        if times:
            place = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device)
            _, squared = slope(self.critic, x + place * (draws - x), y)
        distance = self.critic(x, y).float() - self.critic(draws, y).float()
        terms = Terms(-distance, {"distance": distance.detach()})
        if not times:
            return terms
        # the root has no derivative at zero
        return charged(terms, self.weight * (squared.clamp_min(1e-12).sqrt() - 1).square(), times)

    def generator_loss(self, score: Score, x: Tensor, draws: Tensor, y: Tensor | None) -> Tensor:
        return -score(draws, y)
