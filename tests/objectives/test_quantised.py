"""The VQ-VAE's loss: what it is made of, who is moved by it, and that many can be trained at once."""

import copy
import math

import pytest
import torch
from torch.func import functional_call, stack_module_state

from tests.models.test_quantised import tiny
from zatlas.networks.codebook import GradientCodebook, MovingCodebook
from zatlas.objectives import distortion, rate
from zatlas.objectives.quantised import VectorQuantisation, perplexity
from zatlas.training import Game
from zatlas.types import Batch

KINDS = [MovingCodebook, GradientCodebook]
BATCH = Batch((torch.rand(32, 5, generator=torch.Generator().manual_seed(1)) < 0.5).float(), None)


def game(kind=MovingCodebook, seed=0):
    made = Game(tiny(kind), VectorQuantisation())
    torch.manual_seed(seed)
    made("model", BATCH, 0)  # from here on the codewords are the data's
    return made


def state(made):
    return {name: value.clone() for name, value in made.state_dict().items()}


def changed(made, before):
    return {name for name, value in made.state_dict().items() if not torch.equal(value, before[name])}


def gradients(made, player):
    terms = made(player, BATCH, 0)
    return torch.autograd.grad(terms.loss.mean(), list(made.parameters()), allow_unused=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_made_of_its_parts(kind):
    made = game(kind).eval()
    terms = made("model", BATCH, 0)
    inference = made.model.infer(BATCH.x)
    torch.testing.assert_close(terms.parts["distortion"], distortion(inference, BATCH.x)[0])
    torch.testing.assert_close(terms.parts["rate"], rate(inference))
    q = inference.levels[0].q
    squared = (q.encoded - q.code).square().sum(-1)
    assert squared.min() > 0
    weight = 0.25 if kind is MovingCodebook else 1.25
    torch.testing.assert_close(terms.loss, terms.parts["distortion"] + weight * squared)
    assert all(part.shape == (32,) for part in terms.parts.values())


def test_perplexity_counts_the_codewords_in_use():
    assert perplexity(torch.tensor([4.0, 0.0, 4.0, 4.0])).item() == pytest.approx(3)
    counts = torch.tensor([1.0, 3.0])
    assert perplexity(counts).item() == pytest.approx(math.exp(math.log(4) - 0.75 * math.log(3)))


@pytest.mark.parametrize("kind", KINDS)
def test_each_player_has_its_own_gradients(kind):
    made = game(kind)
    for player in made.players:
        found = gradients(made, player)
        for (name, _), gradient in zip(made.named_parameters(), found, strict=True):
            owner = "prior" if name.startswith("model.prior.") else "model"
            assert (gradient is not None and bool(gradient.any())) is (owner == player), (player, name)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_model_in_training_moves_the_codebook(kind):
    made = game(kind)
    before = state(made)
    made("prior", BATCH, 0)
    made.eval()("model", BATCH, 0)
    made.model.infer(BATCH.x)
    assert not changed(made, before)
    made.train()("model", BATCH, 0)
    moved = {"model.codebook.usage"}
    assert changed(made, before) == moved | ({"model.codebook.codewords"} if kind is MovingCodebook else set())


def test_the_encoder_is_committed_to_its_codes():
    """So heavy that the distortion does not count, the gradient is that of |z_e - e|^2 with e held."""
    made = game().eval()
    weights = list(made.model.encoder.parameters())
    heavy = VectorQuantisation(1e6).eval()
    found = torch.autograd.grad(heavy("model", made.model, BATCH, 0).loss.sum() / 1e6, weights)
    q = made.model.encode(BATCH.x)
    expected = torch.autograd.grad((q.encoded - q.code.clone()).square().sum(), weights)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_both_players_learn(kind):
    torch.manual_seed(0)
    made = game(kind)
    optimizers = {player: torch.optim.Adam(made.owned(player), lr=1e-2) for player in made.players}
    values = []
    for step in range(50):
        for player, optimizer in optimizers.items():
            terms = made(player, BATCH, step)
            optimizer.zero_grad()
            terms.loss.mean().backward(inputs=made.owned(player))
            optimizer.step()
        if step in (0, 49):
            made.eval()
            parts = made("model", BATCH, step).parts
            values.append((parts["distortion"].mean(), parts["rate"].mean()))
            made.train()
    (d0, r0), (d1, r1) = values
    assert d1 < d0 - 0.5
    assert r1 < r0 - 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_stacked_members_equal_the_same_games_alone(kind):
    members = [Game(tiny(kind), VectorQuantisation()) for _ in range(2)]
    for i, member in enumerate(members):
        member.model.codebook.usage.fill_(30.0 + i)  # nothing is revived, so nothing is random
        torch.nn.init.normal_(member.model.decoder.net.layers[0].weight, std=0.3 + 0.1 * i)
    parameters, buffers = stack_module_state(members)
    skeleton = copy.deepcopy(members[0])
    for player in ("model", "prior"):
        one = lambda p, b: functional_call(skeleton, (p, b), (player, BATCH, 0)).loss  # noqa: B023 (called at once)
        stacked = torch.vmap(one, randomness="different")(parameters, buffers)
        found = torch.autograd.grad(stacked.mean(-1).sum(), list(parameters.values()), allow_unused=True)
        for i, member in enumerate(members):
            loss = member(player, BATCH, 0).loss
            torch.testing.assert_close(stacked[i], loss)
            alone = torch.autograd.grad(loss.mean(), list(member.parameters()), allow_unused=True)
            for together, own in zip(found, alone, strict=True):
                assert (together is None) is (own is None)
                if own is not None:
                    torch.testing.assert_close(together[i], own, atol=1e-5, rtol=1e-4)
            held = {name: value[i] for name, value in {**parameters, **buffers}.items()}
            for name, value in member.state_dict().items():
                torch.testing.assert_close(held[name], value)


@pytest.mark.parametrize("kind", KINDS)
def test_stacked_members_start_from_data_and_draw_each_for_itself(kind):
    members = [Game(tiny(kind), VectorQuantisation()) for _ in range(2)]
    parameters, buffers = stack_module_state(members)
    one = lambda p, b: functional_call(members[0], (p, b), ("model", BATCH, 0)).loss
    torch.vmap(one, randomness="different")(parameters, buffers)
    held = {**parameters, **buffers}["model.codebook.codewords"]
    own = members[0].model.encode(BATCH.x).encoded.reshape(-1, 2)
    assert not torch.equal(held[0], held[1])
    apart = torch.cdist(held, own, compute_mode="donot_use_mm_for_euclid_dist")  # products lose half of the digits
    assert (apart.amin(-1) < 1e-4).all()
    sample = lambda p, b: functional_call(members[0].model.prior, (p, b), (torch.zeros(1, 3, dtype=torch.long),))
    prior = {n.removeprefix("model.prior."): p for n, p in parameters.items() if n.startswith("model.prior.")}
    assert torch.vmap(sample)(prior, {}).shape == (2, 1, 3, 4)
