"""What does not go together is refused by a sentence that names what does."""

from typing import Literal, get_args, get_origin

import pytest
import torch

from tests import family
from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.parts import SORTS
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
    return {"model": {"kind": kind, **family.size(kind, keys.get("network", "mlp")), **keys}}


def aim(kind, objective, **keys):
    return {"model": {"kind": kind, **family.size(kind)}, "objective": {"kind": objective, **keys}}


PAIRS = [
    (kind, objective)
    for kind, about in family.MODELS.items()
    for objective in family.OBJECTIVES
    if objective not in about.objectives
]


@pytest.mark.parametrize(("kind", "objective"), PAIRS, ids=map("-".join, PAIRS))
def test_an_objective_of_other_models(kind, objective):
    sentence = refused(aim(kind, objective))
    assert f"objective.kind = '{objective}' does not go with model.kind = '{kind}'" in sentence
    assert all(repr(name) in sentence for name in family.MODELS[kind].objectives)
    assert all(repr(name) in sentence for name, about in family.MODELS.items() if objective in about.objectives)


BUILT = [
    (kind, network)
    for kind, about in family.MODELS.items()
    for network in family.NETWORKS
    if about.networks and network not in about.networks
]


@pytest.mark.parametrize(("kind", "network"), BUILT, ids=map("-".join, BUILT))
def test_a_network_of_other_models(kind, network):
    sentence = refused(model(kind, network=network))
    assert f"model.kind = '{kind}' is built of network" in sentence
    assert all(repr(name) in sentence for name in family.MODELS[kind].networks)


def another(part, key):
    """A value of a key that is not its default."""
    field = part.settings.model_fields[key]
    options = [field.annotation, *get_args(field.annotation)]
    for option in options:
        if get_origin(option) is Literal:
            return next(value for value in get_args(option) if value != field.default)
    if isinstance(field.default, tuple) and int in options:
        return field.default[:1]
    if bool in options:
        return not field.default
    if int in options:
        return (field.default or 1) + 1
    return (field.default or 0.0) / 2 + 0.25 if float in options else ("a line",)


def strangers(section):
    """Every key of a sort of part, with every part that does not have it."""
    parts = [part for part in SORTS[section].all() if part.name != "auto"]
    owners = {key: part for part in parts for key in part.keys}
    return [(section, key, part.role, part.name) for key in owners for part in parts if key not in part.keys]


STRANGERS = [
    case
    for section in ("objective", "network", "likelihood", "prior", "posterior")
    for case in strangers(section)
    if case[2] in ("", "autoencoder")
]


@pytest.mark.parametrize(("section", "key", "role", "name"), STRANGERS)
def test_a_key_of_other_parts(section, key, role, name):
    owners = [part for part in SORTS[section].all() if key in part.keys]
    values = {section: {"kind": name, key: another(owners[0], key)}}
    if section == "objective":
        kind = next(kind for kind, about in family.MODELS.items() if name in about.objectives and not about.point)
        values["model"] = {"kind": kind}
        values["objective"] |= {"target_nats": 9.0} if name == "constrained" else {}
    sentence = refused(values)
    assert f"{section}.{key} belongs to {section}.kind = " in sentence
    assert all(repr(owner.name) in sentence for owner in owners)


@pytest.mark.parametrize("kind", family.MODELS)
def test_a_section_that_the_model_does_not_have(kind):
    for section, word in (("prior", "mixture"), ("posterior", "full"), ("likelihood", "gaussian"), ("network", "mlp")):
        about = family.MODELS[kind]
        has = bool(about.networks) if section == "network" else section in about.sections
        if not has:
            sentence = refused({"model": {"kind": kind}, section: {"kind": word}})
            assert f"{section}.kind belongs to model.kind = 'vae'" in sentence
            assert f"not to '{kind}', which has no {section} to choose" in sentence


def test_an_unknown_key_gets_the_nearest_one_of_its_part():
    assert "did you mean objective.weight?" in refused({"objective": {"kind": "infovae", "wieght": 3.0}})
    only = refused({"model": {"kind": "vqvae"}, "objective": {"kind": "vq", "wieght": 3.0}})
    assert only.endswith("there is no objective.wieght; known are objective.commitment.")


FLAT = [
    (model(prior="conditional"), "'conditional' goes with model.kind = 'cvae' only"),
    (model("cvae", prior="vamp"), "'vamp' goes with model.kind = 'vae' and posterior.kind = 'diagonal' only"),
    (model(prior="vamp", posterior="full"), "'vamp' goes with model.kind = 'vae' and posterior.kind = 'diagonal'"),
    (model(prior="vamp", posterior="flow"), "'vamp' goes with model.kind = 'vae' and posterior.kind = 'diagonal'"),
]
RATES = [
    (
        model(**words) | {"objective": {"kind": kind, "rate": "closed", **keys}},
        "objective.rate = 'closed' has no formula",
    )
    for words, kind, keys in (
        *(({"posterior": "flow"}, "elbo", {}), ({"prior": "mixture"}, "elbo", {}), ({"prior": "flow"}, "dip", {})),
        ({"prior": "vamp"}, "elbo", {}),
        ({"posterior": "flow"}, "constrained", {"target_nats": 3.0}),
    )
]
UNITS = [
    (
        model(**words) | {"objective": objective},
        "each unit by itself and wants posterior.kind = 'diagonal' with prior.kind = 'normal' or 'conditional'",
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
    (model(posterior="flow") | {"objective": objective}, "choose posterior.kind = 'diagonal' or 'full', not 'flow'")
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
    (aim("vae", "infovae", mmd_weight=0.5), "give objective.weight of 1 or more"),
    (model(prior="flow") | {"objective": {"kind": "infovae"}}, "would never move a learned one"),
    (model(posterior="full") | {"objective": {"kind": "dip"}}, "wants posterior.kind = 'diagonal', not 'full'"),
]
WATCHED = [
    (model(kind) | {"training": watch}, "watch a loss that falls, and that of a game says nothing")
    for kind in ("gan", "cgan")
    for watch in ({"patience": 2}, {"target_loss": 1.0})
]
SPECTRAL = [(aim("vae", "elbo", spectral_norm=True), "belongs to objective.kind = 'relativistic' or 'gan' or 'wass")]


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
    (model("ppca", likelihood="bernoulli"), DIGITS, "not to 'ppca', which has no likelihood to choose"),
    (model("fa", likelihood="gaussian"), DIGITS, "not to 'fa', which has no likelihood to choose"),
    *(
        (model(likelihood=name), COLUMNS, "wants values in [0, 1], and these are not: choose gaussian-learned")
        for name in ("bernoulli", "continuous-bernoulli")
    ),
    *(
        (model(likelihood=name), COLUMNS, "wants 8-bit values without binarisation: choose gaussian or bernoulli")
        for name in ("logistic", "logistic-mixture", "categorical")
    ),
    (model(likelihood="colour-mixture"), DIGITS, "three channels, and these data are 1x8x8: choose logistic-mixture"),
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


@pytest.mark.parametrize("kind", family.MODELS)
def test_every_default_goes_together(kind):
    torch.manual_seed(0)
    config = make_config(("here", model(kind)))
    assert config.objective.kind == family.MODELS[kind].objectives[0]
    for spec in (DIGITS, DataSpec((5,), "real", "class", ("a", "b"))):
        assert build_game(config, spec, 10).players
        assert likelihood_name(config, spec) != "auto"
