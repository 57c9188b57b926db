"""The laws that zatlas asks of its own parts, for parts of your own: run them in your tests.

Each function builds the part in a small size on small data, and raises :class:`AssertionError` with a sentence where a
law does not hold, as scikit-learn's ``check_estimator`` does.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zatlas import recipes
from zatlas.config import Config
from zatlas.config.words import configuration
from zatlas.data import ArraySource, Batches
from zatlas.data.source import NEEDED, completed
from zatlas.errors import UsageError
from zatlas.measure.metric import Metric, Options
from zatlas.parts import SORTS
from zatlas.runs.opened import Run
from zatlas.runs.training import train
from zatlas.training import Budget, Game, Optimisation, Schedule, Trainer
from zatlas.training.ensemble import Ensemble
from zatlas.types import Batch, Infers, inferring

__all__ = [
    "check_likelihood",
    "check_metric",
    "check_model",
    "check_network",
    "check_objective",
    "check_prior",
    "check_source",
    "small_data",
]

ROWS = 48
CPU = torch.device("cpu")
IMAGES = "images"


def small_data(kind: str = IMAGES) -> ArraySource:
    """48 examples of two classes: ``"images"`` of 1x8x8 pixels, or ``"columns"`` of five real numbers."""
    rng = np.random.default_rng(0)
    y = np.arange(ROWS) % 2
    if kind == "columns":
        hidden = rng.normal(size=(ROWS, 2)) + 2.0 * y[:, None]
        noise = 0.3 * rng.normal(size=(ROWS, 5))
        return ArraySource(kind, (hidden @ rng.normal(size=(2, 5)) + noise).astype(np.float32), y)
    centre = rng.uniform(0.3, 0.7, (ROWS, 2, 1)) + 0.1 * y[:, None, None]
    bumps = [np.exp(-(((np.linspace(0, 1, 8) - centre[:, axis]) / 0.2) ** 2)) for axis in (0, 1)]
    return ArraySource(kind, (255 * bumps[0][:, :, None] * bumps[1][:, None, :]).astype(np.uint8)[:, None], y)


def check_objective(objective: Any, *, model: str = "vae", data: str = IMAGES, **settings: Any) -> None:
    """The laws of an objective.

    It gives a finite loss ``[B]`` for every player and parts of the same length or scalars; every player's gradient
    reaches what it owns and nothing else; the loss of an example set does not change when it is asked for twice at one
    seed; training lowers or keeps the first player's loss finite; a stacked member equals the same game alone; a run
    with it is written, opened and resumed to the same weights.

    Args:
        objective: a class, an object, a name, or its place ``"package.module:Class"``.
        model: the kind of model that it is asked about.
        data: ``"images"`` or ``"columns"``.
        settings: of the objective.

    Raises:
        AssertionError: a law that does not hold.

    >>> from zatlas.objectives import Importance
    >>> check_objective(Importance(samples=2))
    """
    words = _words({"model": model, "objective": objective}, settings, "objective")
    _check_game(words, small_data(data))
    _check_run(words, small_data(data))


def check_model(words: Mapping[str, Any] | None = None, *, data: str = IMAGES, **parts: Any) -> None:
    """The laws of a model made of parts: those of its objective; that codes and images have the data's shapes; that
    decoding is deterministic; that log p(x|z) and log q(z|x) are finite; and that the importance-weighted bound lies
    above the ELBO.

    Args:
        words: of the configuration, as ``zatlas.train`` takes them.
        data: ``"images"`` or ``"columns"``.
        parts: more words: ``network=``, ``prior=``, ``likelihood=``, ``encoder=`` and ``decoder=``, ....

    Raises:
        AssertionError: a law that does not hold.

    >>> check_model(prior="mixture", prior_components=3)
    """
    source = small_data(data)
    given = dict(words or {}) | parts
    encoder, decoder = given.pop("encoder", None), given.pop("decoder", None)
    made = recipes.adopted(given)
    if encoder is not None:
        made = recipes.adopt_modules(made, encoder, decoder, source.spec)
    config = _config(made)
    game = _built(config, source, made)
    batch = _batch(source)
    model = game.model
    with torch.no_grad():
        n = len(batch.x)
        generation = model.generate(n, batch.y if config.kind.conditional else None)
        assert generation.px.mean.shape[-len(source.spec.shape) :] == source.spec.shape, (
            f"p(x|z) is over {list(generation.px.mean.shape)}, and the data are {list(source.spec.shape)}"
        )
        again = model.generate(y=batch.y if config.kind.conditional else None, z=generation.z)
        assert torch.equal(generation.px.mean, again.px.mean), "the same code is decoded differently twice"
        if config.kind.infers:
            _check_inference(inferring(model), batch, config)
    _check_game(made, source)
    _check_run(made, source)


def check_network(network: Any, *, data: str = IMAGES, **settings: Any) -> None:
    """The laws of :func:`check_model` for an encoder and a decoder of your own.

    Args:
        network: a class or function declared with :data:`zatlas.parts.network`, its name, or its place.
        data: ``"images"`` or ``"columns"``.
        settings: of the network.
    """
    check_model(_words({"network": network}, settings, "network").words, data=data)


def check_prior(prior: Any, *, latent_dim: int = 2, **settings: Any) -> None:
    """The laws of a prior p(z): over two units its density has mass one, and its draws have the density that it says;
    then those of :func:`check_model`.

    Args:
        prior: a class or object, its name, or its place.
        latent_dim: D of the model that is trained.
        settings: of the prior.
    """
    made = _words({"prior": prior, "latent_dim": 2}, settings, "prior")
    game = _built(_config(made), small_data(), made)
    with torch.no_grad():
        p = game.get_submodule("model.prior")(None)
        line = torch.linspace(-9, 9, 181)
        grid = torch.cartesian_prod(line, line)
        shape = (len(grid), *p.batch_shape, 2)
        density = p.log_prob(grid.reshape(len(grid), *[1] * len(p.batch_shape), 2).expand(shape)).double().exp()
        mass = density.sum(0) * float(line[1] - line[0]) ** 2
        assert torch.allclose(mass, torch.ones_like(mass), atol=0.02), f"its density has mass {mass.mean():.3f}, not 1"
        draws = p.sample((4000,)).reshape(4000, -1)[:, :2].double()
        mean = (density.reshape(len(grid), -1)[:, 0, None] * grid).sum(0) / density.reshape(len(grid), -1)[:, 0].sum()
        far = (draws.mean(0) - mean).abs() / (draws.std(0) / len(draws) ** 0.5 + 1e-3)
        assert (far < 6).all(), f"its draws have mean {draws.mean(0).tolist()} and its density {mean.tolist()}"
    check_model({**made.words, "latent_dim": latent_dim})


def check_likelihood(likelihood: Any, *, data: str = IMAGES, **settings: Any) -> None:
    """The laws of :func:`check_model` for a likelihood p(x|z) of your own.

    Args:
        likelihood: a class or object, its name, or its place.
        data: ``"images"`` or ``"columns"``.
        settings: of the likelihood.
    """
    check_model(_words({"likelihood": likelihood}, settings, "likelihood").words, data=data)


def check_metric(metric: Any, *, model: str = "vae", data: str = IMAGES) -> None:
    """The laws of a metric: it gives figures that are finite, or says why not; that say their n and estimator; and that
    are the same for the same seed.

    Args:
        metric: a function declared with :data:`zatlas.parts.metric`, its name, or its place.
        model: the kind of model that it measures.
        data: ``"images"`` or ``"columns"``.
    """
    part = SORTS["metric"].get(metric) if isinstance(metric, str) else SORTS["metric"].adopt(metric)
    lacks = part.facts.get("lacks", lambda run: None)
    asked = Metric(part.when, lacks, part.target, part.facts.get("rows"))
    run, folder = _trained({"model": model}, small_data(data))
    with folder:
        if reason := asked.lacks(run):
            raise AssertionError(f"it says that this model lacks something: {reason}")
        rows = np.arange(20)
        first, second = (asked.measure(run, rows, Options(seed=3), lambda done: None).figures for _ in range(2))
        assert first, "it gives no figure"
        for name, figure in first.items():
            assert np.isfinite(figure.value), f"{name} is {figure.value}"
            assert figure.count > 0, f"{name} does not say of how many it is"
            assert figure.estimator, f"{name} does not say its estimator"
            assert figure.value == second[name].value, f"{name} is another one for the same seed"


def check_source(source: Any) -> None:
    """The laws of a data source: rows have the shape and type that it says, in any order; labels fit their names; the
    fingerprint is the same twice.

    Args:
        source: an object with ``name``, ``spec``, ``__len__``, ``read``, ``fingerprint``, and what else it has of
            :class:`zatlas.data.Source`.
    """
    lacks = [word for word in NEEDED if not hasattr(source, word)]
    assert not lacks, f"it lacks {', '.join(lacks)}"
    source = completed(source)
    n = len(source)
    assert n > 1, f"it holds {n} examples"
    some = np.array([n - 1, 0])
    x = source.read(some)
    assert x.shape == (2, *source.spec.shape), f"rows are {list(x.shape[1:])}, and it says {list(source.spec.shape)}"
    wanted = np.uint8 if source.spec.values == "uint8" else np.float32
    assert x.dtype == wanted, f"rows are {x.dtype}, and values {source.spec.values!r} are {np.dtype(wanted)}"
    assert np.array_equal(x[::-1], source.read(some[::-1])), "rows differ by the order in which they are read"
    if source.spec.values == "unit":
        assert x.min() >= 0, "values 'unit' lie in [0, 1]"
        assert x.max() <= 1, "values 'unit' lie in [0, 1]"
    y = source.read_labels(np.arange(n))
    if source.spec.label_kind == "class":
        assert y is not None, "it says that it has classes, and gives no labels"
        assert y.min() >= 0, "class numbers begin at 0"
        assert y.max() < source.spec.label_dim, f"class {y.max()} has no name"
    assert source.fingerprint() == source.fingerprint(), "its fingerprint changes"


def _words(words: dict[str, Any], settings: Mapping[str, Any], section: str) -> recipes.Given:
    made = recipes.adopted(words)
    named = made.words[section]
    kind = {"kind": named} if isinstance(named, str) else dict(named)
    return recipes.Given({**made.words, section: {**kind, **settings}}, made.parts, made.weights)


def _config(made: recipes.Given) -> Config:
    words = {"steps": 4, "validations": 1, "threads": 1, "precision": "fp32", "batch_size": 16, "device": "cpu"}
    return configuration({**words, **made.words}, who="the check")


def _built(config: Config, source: ArraySource, made: recipes.Given, seed: int = 0) -> Game:
    torch.manual_seed(seed)
    rows = np.arange(ROWS)
    units = recipes.linear_units(config)
    stats = recipes.statistics(source, rows, examples=recipes.wanted_examples(config), units=units)
    fresh = recipes.Given(made.words, {k: copy.deepcopy(v) for k, v in made.parts.items()}, made.weights)
    return recipes.build_game(config, source.spec, ROWS, stats, fresh)


def _batch(source: ArraySource, n: int = 12) -> Batch:
    return next(iter(Batches(source, np.arange(ROWS), batch_size=n, seed=2).epoch(0)))


def _check_inference(model: Infers, batch: Batch, config: Config) -> None:
    codes = sum(model.latent_dims)
    q = model.encode(batch.x, batch.y)
    assert q.mean.shape == (len(batch.x), codes), f"q(z|x) is over {list(q.mean.shape)}, not [B, {codes}]"
    inference = model.infer(batch.x, batch.y, samples=3)
    fits = inference.px.log_prob(batch.x)
    assert fits.shape == (3, len(batch.x)), f"log p(x|z) is {list(fits.shape)}, not [K, B]"
    assert fits.isfinite().all(), "log p(x|z) is not finite"
    if config.kind.has("rate"):
        from zatlas.objectives import importance_bound, negative_elbo

        many = model.infer(batch.x, batch.y, samples=200)
        bound, elbo = importance_bound(many, batch.x).mean(), -negative_elbo(many, batch.x).mean()
        assert bound > elbo - 0.1, f"the importance-weighted bound {bound:.2f} lies below the ELBO {elbo:.2f}"


def _check_game(made: recipes.Given, source: ArraySource) -> None:
    config = _config(made)
    game, batch = _built(config, source, made), _batch(source)
    for player in game.players:
        game.train()
        torch.manual_seed(1)
        terms = game(player, batch, 3)
        assert terms.loss.dim() == 1, f"the loss of {player} is {list(terms.loss.shape)}, not [B]"
        if player == game.players[0]:
            assert len(terms.loss) == len(batch.x), f"the loss of {player} is {list(terms.loss.shape)}, not [B]"
        assert terms.loss.isfinite().all(), f"the loss of {player} is not finite"
        for name, value in terms.parts.items():
            assert value.dim() < 2, f"the part {name} is {list(value.shape)}, not [B] or one number"
        twice = []
        for _ in range(2):  # as it is validated: a codebook moves with every training batch
            torch.manual_seed(1)
            twice.append(game.eval()(player, batch, 3).loss)
        assert torch.allclose(*twice), f"the loss of {player} differs for the same weights, batch and draws"
        owned = game.owned(player)
        assert owned, f"the player {player} owns no parameters: see its prefix in players"
        gradients = torch.autograd.grad(terms.loss.sum(), owned, allow_unused=True)
        assert any(g is not None and g.abs().sum() > 0 for g in gradients), f"no gradient reaches what {player} owns"
    _check_training(made, source)
    _check_stacked(made, source)


def _trainer(game: Game, source: ArraySource, steps: int) -> Trainer:
    batches = Batches(source, np.arange(ROWS), batch_size=16, seed=3)
    optimisation = Optimisation("sgd", 1e-4, (0.9, 0.95), 0.0)
    return Trainer(
        game, batches, budget=Budget(steps=steps), optimisation=optimisation, schedule=Schedule("constant"), device=CPU
    )


def _check_training(made: recipes.Given, source: ArraySource) -> None:
    game = _built(_config(made), source, made)
    before = [p.detach().clone() for p in game.parameters()]
    _trainer(game, source, 4).fit()
    assert all(p.isfinite().all() for p in game.parameters()), "weights are not finite after four steps"
    assert any(not torch.equal(p, was) for p, was in zip(game.parameters(), before, strict=True)), "nothing was learned"


def _check_stacked(made: recipes.Given, source: ArraySource) -> None:
    """Two members stacked, against the same games alone; what torch.vmap cannot do is no failure."""
    config, batch = _config(made), _batch(source)
    games = [_built(config, source, made, seed) for seed in (0, 1)]
    player = games[0].players[0]
    alone = []
    for game in games:
        torch.manual_seed(5)
        alone.append(game.train()(player, batch, 0).loss)
    torch.manual_seed(5)
    try:
        stacked = Ensemble(games).train()(player, batch, 0).loss
    except (RuntimeError, NotImplementedError):
        return
    except UsageError as error:  # such as two objects that are not alike in more than their tensors
        raise AssertionError(f"two of them cannot be stacked: {error}") from None
    for member, one in zip(stacked, alone, strict=True):
        assert torch.allclose(member, one, rtol=1e-4, atol=1e-3), "a stacked member differs from the same game alone"


def _check_run(made: recipes.Given, source: ArraySource) -> None:
    """Written, opened and resumed: the weights are those of an unbroken training."""
    with tempfile.TemporaryDirectory() as place:
        whole = _run(made, source, Path(place) / "whole", 6)
        part = _run(made, source, Path(place) / "part", 3)
        from zatlas.runs.training import resume

        again = recipes.Given(parts={k: copy.deepcopy(v) for k, v in made.parts.items()})
        resumed = resume(part.folder.path, changes={"steps": 6}, data=source, given=again, trust=True)
        models = (run.game.get_submodule("model").state_dict() for run in (whole, resumed))
        for (name, one), other in zip(next(models).items(), next(models).values(), strict=True):
            assert torch.equal(one, other), f"resumed, {name} is not what an unbroken training gives"
        own = {name: value for name, value in made.parts.items() if name != "network"}
        if pair := made.parts.get("network"):
            own |= {"encoder": pair[0], "decoder": pair[1]}
        opened = Run(whole.folder.path, trust=True, device=CPU, **own)
        z = np.zeros((2, opened.latent_dim), np.float32)
        y = np.eye(2, dtype=np.float32) if opened.kind.conditional else None
        assert np.array_equal(opened.decode(z, y).mean, whole.decode(z, y).mean), "opened again, it decodes otherwise"


def _run(made: recipes.Given, source: ArraySource, folder: Path, steps: int) -> Run:
    words = {**made.words, "steps": steps, "schedule": "constant", "warmup": 0.0, "validation": 0}  # opens the last
    config = _config(recipes.Given(words))
    fresh = recipes.Given(words, {k: copy.deepcopy(v) for k, v in made.parts.items()}, made.weights)
    return train(config, out=folder, source=source, given=fresh)


def _trained(words: dict[str, Any], source: ArraySource) -> tuple[Run, tempfile.TemporaryDirectory[str]]:
    folder = tempfile.TemporaryDirectory()
    return _run(recipes.Given(words), source, Path(folder.name) / "run", 4), folder
