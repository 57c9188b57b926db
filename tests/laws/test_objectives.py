"""Laws of every objective and kind: who owns what, that resumed is unbroken, and that stacked is alone."""

import copy

import pytest
import torch

from tests import family
from zatlas.training import Schedule, checkpoint
from zatlas.training.ensemble import Ensemble

from .cases import (
    FLAT,
    GAMES,
    GENERATORS,
    LADDERS,
    LIKELIHOODS,
    LINEAR,
    QUANTISED,
    SMALL,
    batch,
    built,
    config,
    state,
    trainer,
)
from .test_models import over

# A default objective for every kind, and every objective.
RICH = ("vae-mixture-full", "vae-vamp-diagonal", "vae-flow-diagonal", "vae-normal-flow", "cvae-flow-full")
KINDS = {name: made for name, made in SMALL.items() if name in RICH or name not in FLAT | LIKELIHOODS}
PLAYED = KINDS | GAMES
MULTIPLAYER = {
    name: made
    for name, made in GAMES.items()
    if made[1]["objective"]["kind"] in ("factor", "constrained", "vq", *family.ADVERSARIAL) or name == "sharp"
}


def test_every_objective_has_a_line():
    assert {config(made).objective.kind for made in PLAYED.values()} == set(family.OBJECTIVES)
    pairs = {(config(made).model.kind, config(made).objective.kind) for made in PLAYED.values()}
    assert {(kind, about.objectives[0]) for kind, about in family.MODELS.items()} <= pairs
    assert {name for name, made in GAMES.items() if len(built(made).players) > 1} == set(MULTIPLAYER)


@over(PLAYED)
def test_players_own_every_parameter_once(made):
    game = built(made)
    owned = [id(p) for player in game.players for p in game.owned(player)]
    assert sorted(owned) == sorted(id(p) for p in game.parameters() if p.requires_grad)
    assert all(game.owned(player) for player in game.players)


@over(MULTIPLAYER)
def test_a_step_of_one_player_moves_its_own_parameters_alone(made):
    for player in built(made).players:
        game = built(made)
        before = {name: p.detach().clone() for name, p in game.named_parameters()}
        game.objective.plays = lambda who, step, player=player: who == player
        trainer(game, made, steps=2, average=0, schedule=Schedule()).fit()
        own = {id(p) for p in game.owned(player)}
        moved = {name for name, p in game.named_parameters() if not torch.equal(p, before[name])}
        assert moved
        assert moved <= {name for name, p in game.named_parameters() if id(p) in own}


class Keeper:
    """Takes the state after some step, and ends the training there if told to."""

    def __init__(self, at, folder):
        self.at, self.folder = at, folder

    def stepped(self, trainer):
        if trainer.state.step == self.at:
            checkpoint.save(self.folder, trainer.tensors(), trainer.snapshot())

    def started(self, trainer): ...
    def recorded(self, trainer, record): ...
    def validated(self, trainer, improved): ...
    def finished(self, trainer): ...


@pytest.mark.slow
@over(PLAYED)
def test_three_steps_and_three_more_are_six(made, tmp_path):
    folder = tmp_path / "step-00000003"
    torch.manual_seed(4)
    whole = trainer(built(made), made, steps=6, watchers=[Keeper(3, folder)])
    whole.fit()
    resumed = trainer(built(made, seed=9), made, steps=6)
    tensors, snapshot = checkpoint.load(folder)
    snapshot.pop("sha256", None)
    torch.manual_seed(12345)
    resumed.restore(tensors, snapshot)
    assert resumed.state.step == 3
    resumed.fit()
    ours, theirs = whole.tensors(), resumed.tensors()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    assert whole.live() == resumed.live()


# tests/training/test_ensemble.py has the flat models and their objectives.
STACKED = {
    **{name: FLAT[name] for name in RICH},
    **{name: LIKELIHOODS[name] for name in LIKELIHOODS if name != "vae-bernoulli"},
    **(LADDERS | QUANTISED | LINEAR | GENERATORS),
    **{name: GAMES[name] for name in ("gan", "relativistic", "wasserstein", "vq", "exact")},
}


@pytest.mark.slow
@over(STACKED)
def test_a_stacked_member_becomes_what_it_becomes_alone(made):
    games = [built(made, seed) for seed in (1, 2)]
    starts = [state(game) for game in games]
    ensemble = Ensemble(games)

    def play(game):
        torch.manual_seed(6)
        # not Adam, which makes a whole step of a gradient that is rounding alone
        trainer(game, made, steps=4, average=0, optimizer="sgd").fit()
        return game

    play(ensemble)
    for i, (game, start) in enumerate(zip(games, starts, strict=True)):
        assert all(torch.equal(value, start[name]) for name, value in game.state_dict().items())  # it is a copy
        member, alone = ensemble.member(i).state_dict(), play(game).state_dict()
        assert list(member) == list(alone)
        moved = {name for name, value in alone.items() if not torch.equal(value, start[name])}
        assert moved >= {
            name for name, p in game.named_parameters() if p.grad is not None and p.grad.abs().max() > 1e-3
        }
        for name in moved:
            ours, theirs = member[name] - start[name], alone[name] - start[name]
            size = theirs.abs().max().item()
            torch.testing.assert_close(
                ours, theirs, rtol=1e-3, atol=1e-3 * size + 1e-6, msg=lambda t, n=name: f"{n}: {t}"
            )


@over(STACKED)
def test_members_with_draws_of_their_own_are_finite(made):
    ensemble = Ensemble([built(made, seed) for seed in (1, 2)], randomness="different")
    for player in ensemble.players:
        terms = ensemble(player, batch(made), 0)
        assert torch.isfinite(terms.loss).all()
        assert terms.loss.shape == (2, 12)


@over(KINDS)
def test_copies_of_a_game_share_nothing(made):
    game = built(made)
    twin = copy.deepcopy(game)
    mine = {t.data_ptr() for t in (*game.parameters(), *game.buffers()) if t.numel()}
    assert not mine & {t.data_ptr() for t in (*twin.parameters(), *twin.buffers()) if t.numel()}
