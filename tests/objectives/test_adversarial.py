"""The games of two players: what each loss is, whom it moves, and that they stack."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zatlas.models.generator import Generator
from zatlas.networks import Decoder, Standardise, StandardNormal
from zatlas.networks.adversarial import ImplicitLikelihood, ResidualCritic, ResidualGenerator
from zatlas.objectives.adversarial import Adversarial, NonSaturating, Relativistic, Wasserstein, frozen, slope
from zatlas.training import Game
from zatlas.types import Batch

KINDS = [NonSaturating, Relativistic, Wasserstein]
PLAYERS = ("model", "critic")
SHAPE = (1, 6, 6)


class Line(nn.Module):
    """a·x + b."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))
        self.b = nn.Parameter(torch.tensor(0.5))

    def forward(self, x, y=None):
        return x.flatten(1) @ self.a + self.b


def game(kind, label_dim=0, seed=0, **options):
    torch.manual_seed(seed)
    net = ResidualGenerator(3, 16, SHAPE, label_dim=label_dim)
    model = Generator(Decoder(net, ImplicitLikelihood(3)), StandardNormal(3), 3)
    return Game(model, kind(ResidualCritic(36, 16, label_dim=label_dim), **options))


def batch(n=12, label_dim=0):
    generator = torch.Generator().manual_seed(1)
    x = (0.8 + 0.1 * torch.randn(n, *SHAPE, generator=generator)).clamp(0, 1)
    return Batch(x, torch.eye(label_dim)[torch.arange(n) % label_dim] if label_dim else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label_dim", [0, 3])
def test_losses_and_parts_are_per_example_and_of_one_player_each(kind, label_dim):
    g, b = game(kind, label_dim), batch(label_dim=label_dim)
    model, critic = (g(player, b, 0) for player in PLAYERS)
    for terms in (model, critic):
        assert terms.loss.shape == (12,)
        assert all(part.shape == (12,) and not part.requires_grad for part in terms.parts.values())
    assert not set(model.parts) & set(critic.parts)  # the trainer sums parts of one name


@pytest.mark.parametrize("kind", KINDS)
def test_the_players_move_their_own_weights_alone(kind):
    g = game(kind)
    for player, other in itertools.permutations(PLAYERS):
        g.zero_grad()
        g(player, batch(), 0).loss.mean().backward()  # no inputs named: the loss itself knows nothing of the other
        assert any(p.grad.abs().sum() > 0 for p in g.owned(player))
        assert all(p.grad is None for p in g.owned(other))


@pytest.mark.parametrize("kind", [NonSaturating, Relativistic])
@pytest.mark.parametrize("offset", [0.0, 7.0])
def test_a_critic_that_knows_nothing_is_worth_minus_log_four(kind, offset):
    critic = Line([0.0] * 36)
    nn.init.constant_(critic.b, offset if kind is Relativistic else 0.0)
    g = Game(game(NonSaturating).model, kind(critic))
    parts = g("critic", batch(), 0).parts
    torch.testing.assert_close(parts["value"], torch.full((12,), -2 * math.log(2)), rtol=0, atol=1e-7)
    for name in ("d_real", "d_fake"):
        torch.testing.assert_close(parts[name], torch.full((12,), 0.5))


@pytest.mark.parametrize("scale", [1.0, -1.0])  # unstandardised, x would lie on the wrong side, or the draws would
def test_a_critic_that_knows_is_worth_nothing_and_sees_standardised_x_and_draws(scale):
    """D = 1 on x = 0.2 and 0 on draws near 0.5, told apart at 0.35: V = 0, its largest value."""
    at = Standardise(torch.tensor(0.35), torch.tensor(scale))
    g = Game(game(NonSaturating).model, NonSaturating(Line([-50.0 * scale] * 36), at))
    parts = g("critic", Batch(torch.full((12, *SHAPE), 0.2), None), 0).parts
    torch.testing.assert_close(parts["value"], torch.zeros(12))
    assert (parts["d_real"] == 1).all()


def given(x, draws, objective, player):
    """The objective's loss where the draws are known."""
    if player == "critic":
        return objective.critic_loss(x, draws, None)
    return objective.generator_loss(frozen(objective.critic), x, draws, None)


A = [1.0, -2.0, 0.5]
X, DRAWS = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
REAL, FAKE = X @ torch.tensor(A) + 0.5, DRAWS @ torch.tensor(A) + 0.5
SQUARED = 5.25  # |a|^2, the slope of the line everywhere


def test_non_saturating_losses_are_the_cross_entropies():
    objective, ones = NonSaturating(Line(A)), torch.ones(5)
    cross = lambda scores, target: F.binary_cross_entropy_with_logits(scores, target, reduction="none")
    terms = given(X, DRAWS, objective, "critic")
    torch.testing.assert_close(terms.loss, cross(REAL, ones) + cross(FAKE, 0 * ones))
    torch.testing.assert_close(terms.loss, -terms.parts["value"])
    torch.testing.assert_close(given(X, DRAWS, objective, "model"), cross(FAKE, ones))


def test_relativistic_losses_compare_pairs_and_charge_slopes():
    objective = Relativistic(Line(A), 0.3)
    terms = given(X, DRAWS, objective, "critic")
    torch.testing.assert_close(terms.parts["penalty"], torch.full((5,), 0.3 * SQUARED))  # half of it at each
    torch.testing.assert_close(terms.loss, -F.logsigmoid(REAL - FAKE) + 0.3 * SQUARED)
    torch.testing.assert_close(given(X, DRAWS, objective, "model"), -F.logsigmoid(FAKE - REAL))


@pytest.mark.parametrize(("step", "gamma"), [(0, 0.4), (5, 0.2), (10, 0.1), (99, 0.1)])
@pytest.mark.parametrize("kind", [int, torch.tensor])
def test_gamma_falls_by_one_factor_at_every_step_and_then_stays(step, gamma, kind):
    objective = Relativistic(Line(A), 0.4, final=0.1, steps=10)
    terms = objective.critic_loss(X, DRAWS, None, kind(step))
    torch.testing.assert_close(terms.parts["penalty"], torch.full((5,), gamma * SQUARED))


@pytest.mark.parametrize("kind", [Relativistic, Wasserstein])
@pytest.mark.parametrize("number", [int, torch.tensor])
def test_a_lazy_penalty_is_paid_that_many_times_over_at_every_so_manieth_step(kind, number):
    """Over any so many steps as much is paid as by the penalty of every step, which one step in three computes."""
    lazy, eager = (game(kind, penalty_every=every) for every in (3, 1))
    nn.init.normal_(lazy.objective.critic.head.score.weight)
    eager.load_state_dict(lazy.state_dict())
    for step in range(6):
        terms = []
        for g in (lazy, eager):
            torch.manual_seed(step)
            terms.append(g("critic", batch(), number(step)))
        penalty = terms[1].parts["penalty"]
        assert penalty.abs().min() > 0
        if step % 3 == 0:
            torch.testing.assert_close(terms[0].loss, terms[1].loss + 2 * penalty)
            torch.testing.assert_close(terms[0].parts["penalty"], penalty)  # as it is, so that curves compare
        else:
            torch.testing.assert_close(terms[0].loss, terms[1].loss - penalty)
            assert "penalty" not in terms[0].parts


@pytest.mark.parametrize("kind", [Relativistic, Wasserstein])
def test_where_nothing_is_trained_the_penalty_is_charged_once_at_any_step(kind):
    lazy, eager = (game(kind, penalty_every=every).eval() for every in (3, 1))
    for step in (0, 1, 2**31 - 1):
        torch.manual_seed(0)
        asked = lazy("critic", batch(), step)
        torch.manual_seed(0)
        torch.testing.assert_close(asked.loss, eager("critic", batch(), step).loss, rtol=0, atol=0)


def test_the_step_reaches_gamma_through_the_game():
    g = game(Relativistic, gamma=0.4, final=0.1, steps=10)
    nn.init.normal_(g.objective.critic.head.score.weight)
    charged = []
    for step in (0, 10):
        torch.manual_seed(0)
        charged.append(g("critic", batch(), step).parts["penalty"])
    torch.testing.assert_close(charged[0], 4 * charged[1])


def test_wasserstein_losses_are_distances_and_charge_slopes_other_than_one():
    objective = Wasserstein(Line(A), 10.0)
    terms = given(X, DRAWS, objective, "critic")
    penalty = 10 * (math.sqrt(SQUARED) - 1) ** 2
    torch.testing.assert_close(terms.parts["penalty"], torch.full((5,), penalty))
    torch.testing.assert_close(terms.loss, FAKE - REAL + penalty)
    torch.testing.assert_close(given(X, DRAWS, objective, "model"), -FAKE)


def test_a_wasserstein_critic_without_slope_has_a_gradient():
    objective = Wasserstein(Line([0.0] * 3))
    given(X, DRAWS, objective, "critic").loss.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in objective.critic.parameters() if p.grad is not None)


class Bowl(nn.Module):
    """|x|^2 / 2, whose slope is x."""

    def forward(self, x, y=None):
        return 0.5 * x.square().sum(1)


def test_wasserstein_looks_anywhere_between_x_and_its_draw():
    torch.manual_seed(0)
    terms = given(torch.zeros(5000, 3), torch.ones(5000, 3), Wasserstein(Bowl(), 1.0), "critic")
    root = math.sqrt(3)  # the slope at a place u of the way is u root 3, and u is uniform
    assert terms.parts["penalty"].mean().item() == pytest.approx(2 - root, abs=0.02)
    assert terms.parts["penalty"].max() <= 1


def test_the_slope_is_autograds_and_so_is_its_own_gradient():
    torch.manual_seed(0)
    critic, x = ResidualCritic(6, 8), torch.randn(4, 6)
    nn.init.normal_(critic.layers[1].second.weight)
    scores, squared = slope(critic, x, None)
    leaf = x.clone().requires_grad_()
    (by_hand,) = torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)
    torch.testing.assert_close(scores, critic(x))
    torch.testing.assert_close(squared, by_hand.square().sum(1))
    weights = list(critic.layers.parameters())
    once, twice = (torch.autograd.grad(s.sum(), weights, allow_unused=True) for s in (squared, by_hand.square().sum(1)))
    assert sum(g is not None and g.abs().sum() > 0 for g in once) > 2
    for one, two in zip(once, twice, strict=True):
        torch.testing.assert_close(torch.zeros(()) if one is None else one, torch.zeros(()) if two is None else two)


def test_the_unit_of_the_data_does_not_matter():
    x, draws, unit = X + 2, DRAWS, 40.0
    losses = []
    for scale in (1.0, unit):
        critic, standardise = Line(A), Standardise(torch.tensor(0.5 * scale), torch.tensor(2.0 * scale))
        objective = Relativistic(critic, standardise=standardise)
        losses.append(given(standardise(scale * x), standardise(scale * draws), objective, "critic").loss)
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize("kind", KINDS)
def test_validation_may_ask_without_gradients(kind):
    g = game(kind).eval()
    torch.manual_seed(3)
    asked = g("critic", batch(), 0).parts
    torch.manual_seed(3)
    with torch.no_grad():
        quiet = g("critic", batch(), 0).parts
    for name, part in asked.items():
        torch.testing.assert_close(part, quiet[name])


def descend(g, player, b, steps, rate=2e-3):
    optimizer = torch.optim.Adam(g.owned(player), rate, (0.0, 0.99))
    losses = []
    for step in range(steps):
        torch.manual_seed(0)  # the same draws, so that a step's effect is seen and not chance
        loss = g(player, b, step).loss.mean()
        optimizer.zero_grad()
        loss.backward(inputs=g.owned(player))
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("label_dim", [0, 3])
def test_a_step_lowers_the_players_loss(kind, player, label_dim):
    g, b = game(kind, label_dim), batch(label_dim=label_dim)
    if player == "model":
        descend(g, "critic", b, 8)  # someone to learn from
    first, second, *_, last = descend(g, player, b, 10)
    assert second < first
    assert last < second


@pytest.mark.parametrize(
    "kind", [NonSaturating, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (Relativistic, Wasserstein))]
)
def test_a_game_is_learned(kind):
    """A constant picture of 0.8, from draws that start around 0.5."""
    g, b = game(kind), batch(16)
    optimizers = {p: torch.optim.Adam(g.owned(p), 3e-3, (0.0, 0.99)) for p in PLAYERS}
    torch.manual_seed(0)
    away = lambda: (g.model.generate(64).px.mean.mean() - b.x.mean()).abs().item()
    before = away()
    for step in range(120 if kind is Wasserstein else 60):
        for player in filter(lambda p: g.objective.plays(p, step), PLAYERS):
            loss = g(player, b, step).loss.mean()
            optimizers[player].zero_grad()
            loss.backward(inputs=g.owned(player))
            optimizers[player].step()
    assert away() < 0.5 * before


def test_the_model_waits_for_a_wasserstein_critic():
    objective = Wasserstein(Line(A), critic_steps=3)
    assert [objective.plays("model", step) for step in range(7)] == [False, False, True, False, False, True, False]
    assert all(objective.plays("critic", step) for step in range(7))
    assert NonSaturating(Line(A)).plays("model", 0)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_changes_little(kind):
    g = game(kind)
    for player in PLAYERS:
        torch.manual_seed(0)
        exact = g(player, batch(), 0).loss.mean()
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = g(player, batch(), 0).loss.mean()
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded, exact, atol=0.05, rtol=0.05)


def test_an_objective_says_both_losses():
    with pytest.raises(TypeError, match="abstract"):
        Adversarial(Line(A))
