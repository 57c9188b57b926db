"""What does not go together is refused by a sentence that names what does."""

import pytest
import torch

from zatlas.config import kinds, known_keys, make_config
from zatlas.config.rules import MODEL_KEYS, OBJECTIVE_KEYS
from zatlas.errors import UsageError
from zatlas.recipes import build_game, likelihood_name
from zatlas.types import DataSpec

COLUMNS = DataSpec((5,), "real")
DIGITS = DataSpec((1, 8, 8), "uint8", "class", ("a", "b"))
GREY28 = DataSpec((1, 28, 28), "uint8", "class", ("a", "b"))


def refused(values, spec=None):
    """The sentence, said by the configuration, or by the recipe where the data have a word in it."""
    with pytest.raises(UsageError) as error:
        build_game(make_config(("here", values)), spec or DIGITS, 10)
    sentence = str(error.value)
    assert sentence[-1] in ".?"
    assert "\n" not in sentence
    return sentence


def model(kind="vae", **keys):
    return {"model": {"kind": kind, "size": "xs", **keys}}


def aim(kind, objective, **keys):
    return {"model": {"kind": kind, "size": "xs"}, "objective": {"kind": objective, **keys}}


PAIRS = [
    (kind, objective)
    for kind, about in kinds.MODELS.items()
    for objective in kinds.OBJECTIVES
    if objective not in about.objectives
]


@pytest.mark.parametrize(("kind", "objective"), PAIRS, ids=map("-".join, PAIRS))
def test_an_objective_of_other_models(kind, objective):
    sentence = refused(aim(kind, objective))
    assert f"objective.kind = '{objective}' does not go with model.kind = '{kind}'" in sentence
    assert all(repr(name) in sentence for name in kinds.MODELS[kind].objectives)
    assert all(repr(name) in sentence for name, about in kinds.MODELS.items() if objective in about.objectives)


BUILT = [
    (kind, network)
    for kind, about in kinds.MODELS.items()
    for network in kinds.NETWORKS
    if about.networks and network not in about.networks
]


@pytest.mark.parametrize(("kind", "network"), BUILT, ids=map("-".join, BUILT))
def test_a_network_of_other_models(kind, network):
    sentence = refused(model(kind, network=network))
    assert f"model.kind = '{kind}' is built of network" in sentence
    assert all(repr(name) in sentence for name in kinds.MODELS[kind].networks)


VALUES = {
    "prior": "mixture",
    "posterior": "full",
    "likelihood": "gaussian",
    "sigma": 0.5,
    "start_log_variance": -1.0,
    "levels": 5,
    "codebook": "gradient",
    "codebook_size": 9,
    "code_dim": 9,
    "beta": 3.0,
    "capacity_nats": 2.0,
    "free_bits_nats": 0.5,
    "sticking_the_landing": True,
    "samples": 9,
    "groups": 2,
    "doubly_reparameterised": True,
    "estimator": "weighted",
    "factor_gamma": 2.0,
    "dip_kind": "i",
    "dip_off": 2.0,
    "dip_on": 2.0,
    "mmd_alpha": 0.5,
    "mmd_weight": 2.0,
    "target_nats": 2.0,
    "constrain": "rate",
    "commitment": 2.0,
    "beta_warmup_steps": 5,
    "capacity_steps": 9,
    "gamma": 9.0,
    "penalty": 2.0,
    "penalty_every": 2,
    "penalty_final": 0.5,
    "penalty_steps": 5,
    "critic_steps": 2,
    "spectral_norm": True,
}


def strangers(table, every):
    return [(key, kind) for key, owners in table.items() for kind in every if kind not in owners]


@pytest.mark.parametrize(("key", "kind"), strangers(MODEL_KEYS, kinds.MODELS))
def test_a_key_of_other_models(key, kind):
    sentence = refused(model(kind, **{key: VALUES[key]}))
    assert f"model.{key} belongs to model.kind = " in sentence
    assert all(repr(owner) in sentence for owner in MODEL_KEYS[key])


@pytest.mark.parametrize(("key", "objective"), strangers(OBJECTIVE_KEYS, kinds.OBJECTIVES))
def test_a_key_of_other_objectives(key, objective):
    kind = next(name for name, about in kinds.MODELS.items() if objective in about.objectives and not about.point)
    needed = {"target_nats": 9.0} if objective == "constrained" else {}
    sentence = refused(aim(kind, objective, **needed, **{key: VALUES[key]}))
    assert f"objective.{key} belongs to objective.kind = " in sentence
    assert all(repr(owner) in sentence for owner in OBJECTIVE_KEYS[key])


def test_the_tables_know_the_keys():
    known = set(known_keys())
    assert {f"model.{key}" for key in MODEL_KEYS} | {f"objective.{key}" for key in OBJECTIVE_KEYS} <= known
    assert {owner for owners in MODEL_KEYS.values() for owner in owners} <= set(kinds.MODELS)
    assert {owner for owners in OBJECTIVE_KEYS.values() for owner in owners} <= set(kinds.OBJECTIVES)


def test_a_key_at_its_default_is_no_word():
    """The file that a run saved says every key, and repeats the run."""
    config = make_config(("here", model("ppca")))
    assert make_config(("again", config.model_dump())) == config


FLAT = [
    (model(prior="conditional"), "'conditional' goes with model.kind = 'cvae' only"),
    (model("cvae", prior="vamp"), "'vamp' goes with model.kind = 'vae' and model.posterior = 'diagonal' only"),
    (model(prior="vamp", posterior="full"), "'vamp' goes with model.kind = 'vae' and model.posterior = 'diagonal'"),
    (model(prior="vamp", posterior="flow"), "'vamp' goes with model.kind = 'vae' and model.posterior = 'diagonal'"),
]
RATES = [
    (
        model(**words) | {"objective": {"kind": kind, "rate": "closed", **keys}},
        "objective.rate = 'closed' has no formula",
    )
    for words, kind, keys in (
        *(({"posterior": "flow"}, "elbo", {}), ({"prior": "mixture"}, "elbo", {}), ({"prior": "flow"}, "dip", {})),
        *(({"prior": "vamp"}, "elbo", {}), ({}, "iwae", {}), ({}, "tcvae", {}), ({}, "factor", {})),
        ({"posterior": "flow"}, "constrained", {"target_nats": 3.0}),
    )
]
UNITS = [
    (
        model(**words) | {"objective": objective},
        "each unit by itself and wants model.posterior = 'diagonal' with model.prior = 'normal' or 'conditional'",
    )
    for words in (
        {"prior": "flow"},
        {"prior": "mixture"},
        {"prior": "vamp"},
        {"posterior": "full"},
        {"posterior": "flow"},
    )
    for objective in ({"kind": "tcvae"}, {"kind": "elbo", "free_bits_nats": 0.1})
]
STILL = [
    (model(posterior="flow") | {"objective": objective}, "choose model.posterior = 'diagonal' or 'full', not 'flow'")
    for objective in ({"sticking_the_landing": True}, {"kind": "iwae", "doubly_reparameterised": True})
] + [
    (model("ladder") | {"objective": objective}, "are there for one layer of z: choose model.kind = 'vae' or 'cvae'")
    for objective in ({"sticking_the_landing": True}, {"kind": "iwae", "doubly_reparameterised": True})
]
WEIGHTS = [
    (model("ae") | {"objective": {"capacity_nats": 3.0}}, "needs a rate, and an ae has none: choose vae or cvae"),
    (model("ae") | {"objective": {"beta": 3.0}}, "weighs the rate, and an ae has none: leave it out, or choose vae"),
    (aim("vae", "constrained"), "wants objective.target_nats, the distortion to reach"),
    (aim("vae", "elbo", free_bits_nats=0.1, sticking_the_landing=True), "exclude each other"),
    (aim("vae", "elbo", capacity_nats=3.0, free_bits_nats=0.1), "objective.capacity_nats replaces beta, free bits"),
    (aim("vae", "elbo", capacity_nats=3.0, sticking_the_landing=True), "objective.capacity_nats replaces beta"),
    (aim("vae", "elbo", capacity_nats=3.0, beta=2.0), "objective.capacity_nats replaces beta"),
    (aim("ae", "elbo", sticking_the_landing=True), "are about the rate, and an ae has none"),
    (aim("ae", "elbo", free_bits_nats=0.1), "are about the rate, and an ae has none"),
    (aim("vae", "elbo", gamma=9.0), "objective.gamma belongs to objective.capacity_nats"),
    (aim("vae", "elbo", capacity_steps=9), "objective.capacity_steps belongs to objective.capacity_nats"),
    (aim("gan", "relativistic", penalty_final=0.1), "penalty_final and objective.penalty_steps go together"),
    (aim("gan", "relativistic", penalty_steps=9), "penalty_final and objective.penalty_steps go together"),
    (aim("vae", "infovae", mmd_weight=0.5), "give objective.mmd_weight of 1 or more"),
    (model(prior="flow") | {"objective": {"kind": "infovae"}}, "would never move a learned one"),
    (model(posterior="full") | {"objective": {"kind": "dip"}}, "wants model.posterior = 'diagonal', not 'full'"),
]
WATCHED = [
    (model(kind) | {"training": watch}, "watch a loss that falls, and that of a game says nothing")
    for kind in ("gan", "cgan")
    for watch in ({"patience": 2}, {"target_loss": 1.0})
]
SPECTRAL = [(aim("vae", "elbo", spectral_norm=True), "belongs to objective.kind = 'gan' or 'relativistic' or 'wass")]


@pytest.mark.parametrize(("values", "says"), [*FLAT, *RATES, *UNITS, *STILL, *WEIGHTS, *WATCHED, *SPECTRAL])
def test_combinations(values, says):
    assert says in refused(values)


DATA = [
    *(
        (model(network=name), COLUMNS, f"the {name} network wants images, not 5 columns: choose mlp")
        for name in ("conv", "resnet", "burgess", "konny-h", "konny-b", "course-conv")
    ),
    (model("ladder", network="resnet"), COLUMNS, "the resnet network wants images, not 5 columns: choose mlp"),
    (model(network="conv"), DataSpec((1, 4, 9), "uint8"), "the conv network wants images of 5x5 pixels or more"),
    (model("vqvae", network="conv"), COLUMNS, "the conv network wants images of 5x5 pixels or more"),
    (model("gan", network="conv"), COLUMNS, "the conv network wants images of 5x5 pixels or more"),
    *((model(network=name), GREY28, "64x64") for name in ("burgess", "konny-h", "konny-b")),
    (model(network="course-conv"), DIGITS, "made for 1x28x28 images and these are 1x8x8: choose conv, or resize"),
    (model("cvae"), COLUMNS, "wants labels of at least two classes, and these data have no labels: choose vae"),
    (model("cgan"), COLUMNS, "wants labels of at least two classes, and these data have no labels: choose gan"),
    (model("cgan"), DataSpec((5,), "real", "class", ("a",)), "only one class (a): choose gan"),
    (model("ppca", latent_dim=5), COLUMNS, "of 5 values cannot have 5 latent units: give 1 to 4"),
    (model("ppca", likelihood="bernoulli"), DIGITS, "a ppca is Gaussian through and through"),
    (model("fa", likelihood="gaussian"), DIGITS, "a fa is Gaussian through and through"),
    *(
        (model(likelihood=name), COLUMNS, "wants values in [0, 1], and these are not: choose gaussian-learned")
        for name in ("bernoulli", "continuous-bernoulli")
    ),
    *(
        (model(likelihood=name), COLUMNS, "wants 8-bit values without binarisation: choose gaussian or bernoulli")
        for name in ("logistic", "logistic-mixture", "categorical")
    ),
    (
        model(likelihood="logistic") | {"data": {"binarise": "static"}},
        DIGITS,
        "wants 8-bit values without binarisation",
    ),
    (
        model(likelihood="gaussian") | {"data": {"binarise": "static"}},
        DIGITS,
        "binarised data want the bernoulli likel",
    ),
]


@pytest.mark.parametrize(("values", "spec", "says"), DATA)
def test_data(values, spec, says):
    assert says in refused(values, spec)


@pytest.mark.parametrize("kind", kinds.MODELS)
def test_every_default_goes_together(kind):
    torch.manual_seed(0)
    config = make_config(("here", model(kind)))
    assert config.objective.kind == kinds.MODELS[kind].objectives[0]
    for spec in (DIGITS, DataSpec((5,), "real", "class", ("a", "b"))):
        assert build_game(config, spec, 10).players
        assert likelihood_name(config, spec) != "auto"
