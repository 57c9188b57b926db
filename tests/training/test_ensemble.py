"""The law of stacking: a member of an ensemble becomes what the same game becomes alone."""

import copy
import math

import pytest
import torch
from torch import nn

from zatlas.errors import UsageError
from zatlas.models import LatentVariableModel
from zatlas.networks import (
    BernoulliLikelihood,
    ConditionalNormal,
    ConvDecoder,
    ConvEncoder,
    Decoder,
    FlatPrior,
    GaussianEncoder,
    GaussianLikelihood,
    LogisticLikelihood,
    MLPDecoder,
    MLPEncoder,
    PointEncoder,
    Standardise,
    StandardNormal,
)
from zatlas.objectives import (
    Capacity,
    Constrained,
    Discrepancy,
    Disentangled,
    Factor,
    Importance,
    TotalCorrelation,
    Variational,
)
from zatlas.training import Budget, Diverged, Game, Optimisation, Schedule, Trainer, load_module
from zatlas.training.ensemble import Ensemble
from zatlas.types import Batch

CPU = torch.device("cpu")
SHAPE, LATENT, LABELS, BATCH, STEPS = (1, 6, 6), 3, 2, 12, 6
SIZE = math.prod(SHAPE)


def vae(encoder=None, decoder=None, *, label_dim=0, likelihood=None, scale=None):
    encoder = encoder or MLPEncoder(SIZE, (16,), 2 * LATENT, label_dim=label_dim, normalise=True)
    decoder = decoder or MLPDecoder(LATENT, (16, 16), SHAPE, label_dim=label_dim, sines=4, normalise=True)
    mean = torch.full(SHAPE, 0.4)
    return LatentVariableModel(
        GaussianEncoder(encoder, Standardise(mean, torch.tensor(0.5) if scale is None else scale), log_variance=-1.0),
        Decoder(decoder, likelihood or BernoulliLikelihood(3), mean),
        ConditionalNormal(LATENT, label_dim) if label_dim else StandardNormal(LATENT),
        LATENT,
    )


def autoencoder():
    nets = MLPEncoder(SIZE, (16,), LATENT), MLPDecoder(LATENT, (16,), SHAPE)
    return LatentVariableModel(
        PointEncoder(nets[0]), Decoder(nets[1], BernoulliLikelihood(3)), FlatPrior(LATENT), LATENT
    )


def convolutional():
    return vae(ConvEncoder(SHAPE, (4, 4), 8, 2 * LATENT), ConvDecoder(LATENT, (4, 4), 8, SHAPE))


def learned_sigma():
    return vae(likelihood=GaussianLikelihood(3, torch.zeros(()), torch.ones(()), sigma=0.5, learned=True))


def logistic():
    return vae(decoder=MLPDecoder(LATENT, (16,), (2, *SHAPE[1:])), likelihood=LogisticLikelihood(3))


class Normalised(nn.Module):
    """An encoder network whose buffers change as it runs."""

    def __init__(self):
        super().__init__()
        # no bias where the normalisation takes it away: its gradient would be rounding, and AdamW moves by it
        linear = nn.Linear(SIZE, 8, bias=False)
        self.layers = nn.Sequential(nn.Flatten(), linear, nn.BatchNorm1d(8), nn.Linear(8, 2 * LATENT))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x, y):
        self.seen.add_(self.layers[1].weight.detach().abs().mean())
        return self.layers(x)


# each makes member number i; a line is a kind of game that stacks
GAMES = {
    "elbo": lambda i: Game(vae(), Variational(0.5 + i)),
    "warm": lambda i: Game(vae(), Variational(2.0, warmup_steps=5 * i)),
    "free": lambda i: Game(vae(), Variational(free_bits_nats=0.2 + 0.1 * i)),
    "stl": lambda i: Game(vae(), Variational(1.0 + i, sticking_the_landing=True)),
    "capacity": lambda i: Game(vae(), Capacity(1.0 + i, steps=10 + i)),
    "iwae": lambda i: Game(vae(), Importance(4)),
    "miwae": lambda i: Game(vae(), Importance(2, groups=2)),
    "dreg": lambda i: Game(vae(), Importance(4, doubly_reparameterised=True)),
    "tcvae": lambda i: Game(vae(), TotalCorrelation(100, 2.0 + i)),
    "tcvae-weighted": lambda i: Game(vae(), TotalCorrelation(100, 2.0 + i, estimator="weighted")),
    "dip-i": lambda i: Game(vae(), Disentangled("i", off=1.0 + i)),
    "dip-ii": lambda i: Game(vae(), Disentangled("ii", on=1.0 + i)),
    "infovae": lambda i: Game(vae(), Discrepancy(alpha=0.2 * i, weight=10.0)),
    "factor": lambda i: Game(vae(), Factor(LATENT, 1.0 + i, hidden=8, layers=2)),
    "geco": lambda i: Game(vae(), Constrained(10.0 + i)),
    "geco-rate": lambda i: Game(vae(), Constrained(1.0 + i, constrain="rate")),
    "autoencoder": lambda i: Game(autoencoder(), Variational()),
    "conditional": lambda i: Game(vae(label_dim=LABELS), Variational(0.5 + i)),
    "conv": lambda i: Game(convolutional(), Variational(0.5 + i)),
    "learned-sigma": lambda i: Game(learned_sigma(), Variational(0.5 + i)),
    "logistic": lambda i: Game(logistic(), Variational(0.5 + i)),
    "buffers": lambda i: Game(vae(Normalised()), Variational(0.5 + i)),
}


class Few:
    """Three batches an epoch, of grey values with two dark corners, and labels."""

    steps_per_epoch = 3

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        x = torch.rand(3, BATCH, *SHAPE, generator=generator)
        x[..., :2, :2] *= 0.1
        y = torch.eye(LABELS)[torch.randint(LABELS, (3, BATCH), generator=generator)]
        self.batches = [Batch(*pair) for pair in zip(x, y, strict=True)]

    def __len__(self):
        return 3 * BATCH

    def epoch(self, number, start=0):
        return iter(self.batches[start:])


def made(make, members=2):
    """The members, each with its own weights."""
    games = []
    for i in range(members):
        torch.manual_seed(i)
        games.append(make(i))
    return games


def trainer(game, *, steps=STEPS, clip_norm=5.0, **options):
    optimisation = Optimisation("adamw", 1e-3, (0.9, 0.95), weight_decay=0.3)
    budget, schedule = Budget(steps=steps), Schedule("linear")
    options = {"optimisation": optimisation, "device": CPU, "clip_norm": clip_norm} | options
    return Trainer(game, Few(), budget=budget, schedule=schedule, **options)


def trained(game, seed=7, **options):
    torch.manual_seed(seed)
    t = trainer(game, **options)
    t.fit()
    return t


def copied(game):
    return {name: value.clone() for name, value in game.state_dict().items()}


def assert_alike(member, alone, **tolerance):
    ours, theirs = member.state_dict(), alone.state_dict()
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


QUICK = ("elbo", "factor", "geco", "conditional", "conv", "buffers")


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, make in GAMES.items()],
)
def test_a_stacked_member_becomes_what_it_becomes_alone(make):
    games = made(make)
    starts = [copied(game) for game in games]
    ensemble = Ensemble(games)
    trained(ensemble)
    for i, game in enumerate(games):
        assert all(torch.equal(value, starts[i][name]) for name, value in game.state_dict().items())  # it is a copy
        trained(game)
        # rounding alone: AdamW divides by the gradient's size, and would make a step of any other difference
        assert_alike(ensemble.member(i), game, rtol=1e-4, atol=1e-5)
        assert any((value - starts[i][name]).abs().max() > 2e-3 for name, value in game.state_dict().items())


@pytest.mark.parametrize("make", GAMES.values(), ids=GAMES)
def test_the_terms_and_gradients_are_the_members_own(make):
    games = made(make)
    ensemble, batch = Ensemble(games), Few().batches[0]
    for player in ensemble.players:
        torch.manual_seed(3)
        terms = ensemble(player, batch, 4)
        gradients = torch.autograd.grad(terms.loss.mean(-1).sum(), ensemble.owned(player))
        for i, game in enumerate(games):
            torch.manual_seed(3)
            alone = game(player, batch, 4)
            torch.testing.assert_close(terms.loss[i], alone.loss, rtol=1e-5, atol=1e-5)
            assert terms.parts.keys() == alone.parts.keys()
            for name, part in alone.parts.items():
                torch.testing.assert_close(terms.parts[name][i], part, rtol=1e-5, atol=1e-5)
            own = torch.autograd.grad(alone.loss.mean(), game.owned(player))
            torch.testing.assert_close([gradient[i] for gradient in gradients], list(own), rtol=1e-4, atol=1e-4)


def test_each_member_keeps_its_own_changing_buffers():
    games = made(GAMES["buffers"])
    ensemble = Ensemble(games)
    trained(ensemble)
    for i, game in enumerate(games):
        trained(game)
        own = dict(game.named_buffers())
        for name, buffer in ensemble.member(i).named_buffers():
            torch.testing.assert_close(buffer, own[name], rtol=1e-4, atol=1e-5)
    seen = ensemble.state_dict()["stacked.model.encoder.net.seen"]
    assert len(seen.unique()) == len(games)
    assert (ensemble.state_dict()["stacked.model.encoder.net.layers.2.num_batches_tracked"] == STEPS).all()


def test_a_buffer_that_games_share_between_two_places_stays_one():
    game = Game(vae(), Variational())
    shared = game.model.encoder.standardise.shift
    game.model.decoder.register_buffer("again", shared)
    ensemble = Ensemble([game, copy.deepcopy(game)])
    assert ensemble.stacked.model.decoder.again is ensemble.stacked.model.encoder.standardise.shift
    member = ensemble.member(0)
    assert member.model.decoder.again is member.model.encoder.standardise.shift


def test_members_of_different_beta_are_told_apart_by_their_rates():
    torch.manual_seed(0)
    model = vae()
    ensemble = Ensemble([Game(model, Variational(beta)) for beta in (0.0, 1.0, 30.0)])
    trained(ensemble, steps=40)
    rates = ensemble("model", Few().batches[0], 0).parts["rate"].mean(1)
    assert rates[0] > rates[1] > rates[2]


def test_the_same_noise_makes_twins_and_different_noise_does_not():
    twins = lambda: [made(GAMES["elbo"], 1)[0] for _ in range(2)]
    for randomness, alike in (("same", True), ("different", False)):
        ensemble = Ensemble(twins(), randomness=randomness)
        trained(ensemble)
        one, two = (ensemble.member(i).state_dict() for i in range(2))
        name = "model.decoder.net.layers.0.weight"
        assert torch.equal(one[name], two[name]) is alike


@pytest.mark.parametrize("make", GAMES.values(), ids=GAMES)
def test_every_game_stacks_with_different_noise(make):
    ensemble = Ensemble(made(make), randomness="different")
    for player in ensemble.players:
        assert torch.isfinite(ensemble(player, Few().batches[0], 0).loss).all()


@pytest.mark.parametrize("name", ["elbo", "factor", "buffers"])
def test_a_member_saved_and_loaded_is_the_member(name):
    ensemble = Ensemble(made(GAMES[name]))
    trained(ensemble, steps=5)
    fresh = made(GAMES[name], 1)[0]
    load_module(fresh, ensemble.member(1).state_dict())
    batch = Few().batches[1]
    ensemble.eval()
    torch.manual_seed(2)
    together = ensemble("model", batch, 9).loss[1]
    torch.manual_seed(2)
    torch.testing.assert_close(fresh.eval()("model", batch, 9).loss, together, rtol=1e-5, atol=1e-5)
    before = copied(ensemble)
    with torch.no_grad():
        next(ensemble.member(1).parameters()).zero_()
    assert all(torch.equal(value, before[name]) for name, value in ensemble.state_dict().items())
    with pytest.raises(IndexError, match="ensemble of 2 has no member 2"):
        ensemble.member(2)


@pytest.mark.parametrize("name", ["warm", "factor", "geco", "buffers"])
def test_a_restored_training_of_an_ensemble_is_identical(name):
    whole = trained(Ensemble(made(GAMES[name])), average=0.9)
    half = trainer(Ensemble(made(GAMES[name])), average=0.9)
    torch.manual_seed(7)
    half.watchers.append(Stop(4))
    half.fit()
    tensors = {key: value.detach().clone() for key, value in half.tensors().items()}
    snapshot = half.snapshot()
    later = trainer(Ensemble(made(GAMES[name])), average=0.9)
    torch.manual_seed(99)
    later.restore(tensors, {**snapshot, "stopped": None})
    later.fit()
    assert later.state.step == whole.state.step == STEPS
    for key, value in whole.tensors().items():
        assert torch.equal(value, later.tensors()[key]), key


class Stop:
    """Ends a training after one step."""

    def __init__(self, at):
        self.at = at

    def stepped(self, trainer):
        if trainer.state.step == self.at:
            trainer.state.stopped = "here"

    def started(self, trainer): ...
    def finished(self, trainer): ...
    def recorded(self, trainer, record): ...


def test_the_average_of_members_is_the_members_average():
    games = made(GAMES["elbo"])
    ensemble = trained(Ensemble(games), average=0.9)
    for i, game in enumerate(games):
        alone = trained(game, average=0.9)
        assert_alike(ensemble.best_game.member(i), alone.best_game, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spoilt", [0, 2])
def test_a_member_that_diverges_is_named(spoilt):
    ensemble = Ensemble(made(GAMES["elbo"], 3))
    with torch.no_grad():
        ensemble.stacked.model.decoder.offset[spoilt] = math.nan
    before = copied(ensemble)
    t = trainer(ensemble)
    with pytest.raises(Diverged, match=rf"the loss of member {spoilt} is no longer finite at step 0"):
        t.fit()
    assert all(torch.equal(v.nan_to_num(), before[n].nan_to_num()) for n, v in ensemble.state_dict().items())


class Root(Variational):
    """Its gradient is infinite where its loss is zero still: the square root of nothing."""

    def forward(self, player, model, batch, step):
        terms = super().forward(player, model, batch, step)
        return terms._replace(loss=terms.loss + self.beta * model.decoder.offset.sub(0.25).clamp_min(0).sqrt().sum())


def test_a_gradient_that_is_not_finite_is_named_with_its_member():
    games = [Game(vae(), Root(beta)) for beta in (0.0, 1.0)]
    ensemble = Ensemble(games)
    with torch.no_grad():
        ensemble.stacked.model.decoder.offset[0] = 0.5
        ensemble.stacked.model.decoder.offset[1] = 0.25
    with pytest.raises(Diverged, match="the gradient of member 1 is no longer finite"):
        trainer(ensemble).fit()


@pytest.mark.parametrize("clip_norm", [None, 5.0])
def test_a_member_that_diverges_leaves_the_others_alone(clip_norm):
    """As on a GPU, where the steps go on until the next record."""
    games = made(GAMES["factor"], 3)
    spoilt, sound = Ensemble(games), Ensemble(games)
    with torch.no_grad():
        spoilt.stacked.model.decoder.offset[1] = math.nan
    for ensemble in (spoilt, sound):
        t = trainer(ensemble, clip_norm=clip_norm)
        for number, batch in enumerate(Few().batches):
            torch.manual_seed(number)
            for player, optimizer in t.optimizers.items():
                optimizer.zero_grad()
                ensemble(player, batch, 0).loss.mean(-1).sum().backward(inputs=t.owned[player])
                if clip_norm:
                    ensemble.clip(t.owned[player], clip_norm)
                optimizer.step()
    for i in (0, 2):
        assert_alike(spoilt.member(i), sound.member(i), rtol=0, atol=0)
    assert not torch.isfinite(spoilt.member(1).model.encoder.net.layers[0].weight).all()


@pytest.mark.parametrize("largest", [1e-2, 1.0, 1e6])
def test_each_member_is_clipped_by_its_own_norm(largest):
    games = made(GAMES["elbo"], 3)
    ensemble, batch = Ensemble(games), Few().batches[0]
    torch.manual_seed(0)
    ensemble("model", batch, 0).loss.mean(-1).sum().backward()
    parameters = ensemble.owned("model")
    for i, parameter in enumerate(parameters):
        parameter.grad[1] *= 1e3 if i else 1.0  # a member whose norm alone would shrink all of them
    before = [parameter.grad.clone() for parameter in parameters]
    found = ensemble.clip(parameters, largest)
    for i in range(3):
        alone = [nn.Parameter(gradient[i]) for gradient in before]
        for parameter, gradient in zip(alone, before, strict=True):
            parameter.grad = gradient[i].clone()
        norm = games[i].clip(alone, largest)
        torch.testing.assert_close(found[i], norm)
        for ours, theirs in zip(parameters, alone, strict=True):
            torch.testing.assert_close(ours.grad[i], theirs.grad)


def test_weight_decay_takes_what_it_takes_of_a_member():
    game = Game(convolutional(), Constrained(10.0))
    t = trainer(Ensemble([game, game]))
    groups = [group for optimizer in t.optimizers.values() for group in optimizer.param_groups]
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    for name, parameter in t.game.stacked.named_parameters():
        assert (id(parameter) in decayed) is game.decays(game.get_parameter(name)) is (parameter.dim() > 2), name


def test_networks_may_run_in_bf16():
    ensemble = Ensemble(made(GAMES["elbo"]))
    trained(ensemble, steps=3, precision="bf16")
    assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in ensemble.parameters())
    exact = Ensemble(made(GAMES["elbo"]))
    trained(exact, steps=3, precision="fp32")
    assert any(not torch.equal(a, b) for a, b in zip(ensemble.parameters(), exact.parameters(), strict=True))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (lambda: Game(vae(), Variational(free_bits_nats=1.0)), "objective.free is False in game 0 and True in game 2"),
        (
            lambda: Game(autoencoder(), Variational()),
            "model.encoder is GaussianEncoder in game 0 and PointEncoder in game 2",
        ),
        (lambda: Game(vae(), Capacity(1.0, steps=2)), "objective is Variational in game 0 and Capacity in game 2"),
        (
            lambda: Game(vae(decoder=MLPDecoder(LATENT, (16,), SHAPE)), Variational()),
            "model.decoder.net.features is SineFeatures in game 0 and Identity in game 2",
        ),
        (
            lambda: Game(vae(MLPEncoder(SIZE, (16, 16), 2 * LATENT, normalise=True)), Variational()),
            "model.encoder.net.layers.3.out_features is 6 in game 0 and 16 in game 2",
        ),
        (
            lambda: Game(
                vae(decoder=MLPDecoder(LATENT, (16, 16, SIZE), SHAPE, sines=4, normalise=True)), Variational()
            ),
            "game 2 has model.decoder.net.layers.7, which game 0 has not",
        ),
        (
            lambda: Game(vae(MLPEncoder(SIZE, (17,), 2 * LATENT, normalise=True)), Variational()),
            "model.encoder.net.layers.0.out_features is 16 in game 0 and 17 in game 2",
        ),
        (
            lambda: Game(vae(scale=torch.ones(SHAPE)), Variational()),
            "scale is float32 [] on cpu in game 0 and float32 [1,",
        ),
        (
            lambda: Game(vae().requires_grad_(False), Variational()),
            "layers.0.weight.requires_grad is True in game 0 and False in game 2",
        ),
    ],
)
def test_games_of_another_structure_are_refused(other, sentence):
    games = made(GAMES["elbo"], 2)
    with pytest.raises(UsageError) as refused:
        Ensemble([*games, other()])
    assert sentence in str(refused.value)
    assert str(refused.value).count(". ") == 0


def test_an_ensemble_of_nobody_is_refused():
    with pytest.raises(UsageError, match="at least one game"):
        Ensemble([])
