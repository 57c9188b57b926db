"""Games of two players trained side by side under torch.vmap are the games alone."""

import copy

import pytest
import torch
from torch.func import functional_call, stack_module_state

from tests.objectives.test_adversarial import KINDS, PLAYERS, SHAPE, batch, game
from zatlas.models.generator import Generator
from zatlas.networks import Decoder, StandardNormal
from zatlas.networks.adversarial import CourseCritic, CourseGenerator, ImplicitLikelihood, spectrally_normalised
from zatlas.networks.adversarial_conv import (
    ResidualConvCritic,
    ResidualConvGenerator,
    StridedCritic,
    StridedGenerator,
)
from zatlas.objectives.adversarial import Relativistic, Wasserstein
from zatlas.training import Game


def stacked_losses(games, player, b, step=0):
    parameters, buffers = stack_module_state(games)
    base = copy.deepcopy(games[0])

    def one(parameters, buffers):
        return functional_call(base, (parameters, buffers), (player, b, step)).loss.mean()

    losses = torch.vmap(one, randomness="same")(parameters, buffers)
    return losses, parameters


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("player", PLAYERS)
def test_a_stacked_game_is_the_game_alone(kind, player):
    games, b = [game(kind, 3, seed=s) for s in (1, 2)], batch(label_dim=3)
    torch.manual_seed(0)
    losses, parameters = stacked_losses(games, player, b)
    losses.sum().backward()
    for i, g in enumerate(games):
        torch.manual_seed(0)
        alone = g(player, b, 0).loss.mean()
        torch.testing.assert_close(losses[i], alone)
        alone.backward()
        for name, p in g.named_parameters():
            if p.grad is not None:
                torch.testing.assert_close(parameters[name].grad[i], p.grad, atol=1e-5, rtol=1e-4)
            elif parameters[name].grad is not None:
                assert (parameters[name].grad[i] == 0).all()


@pytest.mark.parametrize("player", PLAYERS)
def test_different_draws_and_weights_of_penalties_stack(player):
    games = [game(Relativistic, seed=0, gamma=gamma) for gamma in (0.0, 3.0)]
    parameters, buffers = stack_module_state(games)
    run = lambda p, b: functional_call(games[0], (p, b), (player, batch(), 0)).loss.mean()
    torch.manual_seed(0)
    assert torch.vmap(run, randomness="different")(parameters, buffers).unique().numel() == 2


@pytest.mark.parametrize("kind", [Relativistic, Wasserstein])
@pytest.mark.parametrize("step", [0, 1])
def test_a_lazy_penalty_stacks(kind, step):
    games = [game(kind, seed=s, penalty_every=2) for s in (1, 2)]
    torch.manual_seed(0)
    losses, _ = stacked_losses(games, "critic", batch(), step)
    for g, stacked in zip(games, losses, strict=True):
        torch.manual_seed(0)
        torch.testing.assert_close(stacked, g("critic", batch(), step).loss.mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("player", PLAYERS)
def test_course_and_convolutional_games_stack_too(kind, player):
    def course():
        net = CourseGenerator(3, SHAPE, hidden=(8, 8))
        return net, CourseCritic(36, hidden=(8, 8))

    def conv():
        return ResidualConvGenerator(3, (4, 4), SHAPE), ResidualConvCritic(SHAPE, (4, 4))

    def strided():
        return StridedGenerator(3, (4,), 8, SHAPE), StridedCritic(SHAPE, (4,), 8)

    for nets in (course, conv, strided):
        torch.manual_seed(0)
        games = []
        for _ in range(2):
            net, critic = nets()
            model = Generator(Decoder(net, ImplicitLikelihood(3)), StandardNormal(3), 3)
            games.append(Game(model, kind(critic)))
        torch.manual_seed(1)
        losses, _ = stacked_losses(games, player, batch())
        torch.manual_seed(1)
        torch.testing.assert_close(losses[0], games[0](player, batch(), 0).loss.mean())


@pytest.mark.parametrize("kind", KINDS)
def test_a_spectrally_normalised_critic_plays_and_is_refused_by_the_stack(kind):
    games = [game(kind, seed=s) for s in (1, 2)]
    for g in games:
        spectrally_normalised(g.objective.critic)
        for player in PLAYERS:
            loss = g(player, batch(), 0).loss.mean()
            assert torch.isfinite(loss)
            loss.backward(inputs=g.owned(player))
            assert all(torch.isfinite(p.grad).all() for p in g.owned(player) if p.grad is not None)
    with pytest.raises(RuntimeError, match="Batching rule not implemented"):
        stacked_losses(games, "critic", batch())
