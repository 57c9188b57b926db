"""The command line, zatlas.train and the estimators make the same configuration of the same words."""

from typing import Literal, get_args, get_origin

import pytest

import zatlas
from zatlas.cli.train import _limits
from zatlas.cli.train import train as train_command
from zatlas.config import Config, known_keys, preset, presets
from zatlas.config.words import configuration, in_sections, places
from zatlas.errors import UsageError
from zatlas.estimators.settings import configure
from zatlas.parts import SORTS
from zatlas.runs import start, training


class Made(Exception):
    """Carries the configuration that would be trained."""


@pytest.fixture
def faces(monkeypatch):
    """Words to the configuration that each face makes of them, or the word "refused"."""

    def stop(config, **_):
        raise Made(config)

    monkeypatch.setattr(training, "train", stop)
    monkeypatch.setattr(start, "train_config", stop)

    def of(call, *arguments, **words):
        try:
            call(*arguments, **words)
        except Made as made:
            return made.args[0]
        except UsageError:
            return "refused"
        raise AssertionError("nothing was made")

    return of


def fields(section, key):
    """The declarations of a key, of every part that has it."""
    if section in ("data", "training"):
        return [Config.model_fields[section].annotation.model_fields[key]]
    if key == "kind":
        return []
    return [
        part.settings.model_fields[key] for part in SORTS[section].all() if key in part.keys and not part.is_foreign
    ]


def another(key):
    """A value of a key that is not its default, as plain data."""
    section, _, name = key.partition(".")
    if name == "kind":
        return {"model": "cvae", "network": "conv", "likelihood": "gaussian", "prior": "mixture"}.get(
            section, {"posterior": "full"}.get(section, "iwae")
        )
    field = fields(section, name)[0]
    options = [field.annotation, *get_args(field.annotation)]
    for option in options:
        if get_origin(option) is Literal:
            return next(value for value in get_args(option) if value != field.default)
    if isinstance(field.default, tuple) and int in options:
        return field.default[:1]
    if bool in options:
        return not field.default
    if int in options:
        return (field.default or 0) + 1
    if float in options:
        return (field.default or 0.0) / 2 + 0.25
    if str in options:
        return "cpu" if name == "device" else "a word"
    return ("x = relu(y)",)  # of an exported network


def toml(value):
    if isinstance(value, tuple):
        return list(value)
    return str(value).lower() if isinstance(value, bool) else value


@pytest.mark.parametrize("name", [None, *(pytest.param(one, marks=pytest.mark.slow) for one in presets())])
def test_every_key_over_every_preset_is_the_same_from_the_shell_and_from_python(faces, name):
    made = 0
    for word, (section, key) in places().items():
        if word in ("resize", "head", "output"):
            continue  # one number is a square as a word, the shorter side in a file; the others go with modules
        value = another(f"{section}.{key}")
        said = {"data": "digits", "preset": name, "verbose": False, "data" if word == "source" else word: value}
        source = value if word == "source" else "digits"
        set_ = [f"{section}.{key}={toml(value)}"]
        shell = faces(train_command, source=source, preset=name, set_=set_, quiet=True, json=False)
        assert faces(zatlas.train, **said) == shell, word
        made += shell != "refused"
    assert made > 20


@pytest.mark.parametrize("name", [None, *presets()])
@pytest.mark.parametrize(
    "words", [{"epochs": 400}, {"seconds": 5.0}, {"steps": 7}, {"model": "cvae"}, {"latent_dim": 3, "beta": 2.0}]
)
def test_an_option_is_the_word_of_python(faces, name, words):
    python = faces(zatlas.train, "digits", preset=name, verbose=False, **words)
    assert python == faces(train_command, source="digits", preset=name, quiet=True, json=False, **words)


@pytest.mark.parametrize("word", sorted(set(places()) & set(zatlas.VAE().get_params())))
def test_a_parameter_of_an_estimator_is_the_word_of_python(faces, word):
    value = another(".".join(places()[word]))
    params = zatlas.VAE(**{word: value}).get_params()
    idle = {"beta"} if word == "objective" else set()  # which is none of iwae, and was left at its default
    own = {name: held for name, held in params.items() if name in places() and held is not None and name not in idle}
    try:
        found = configure("VAE", "vae", params)
    except UsageError:
        found = "refused"
    words = {"test": 0, "validation": 0.1 if word == "patience" else 0} | own
    assert found == faces(zatlas.train, "", model="vae", seed=0, verbose=False, **words)


def test_limits_from_python_replace_those_of_a_preset():
    """A preset of 580 seconds, asked for 400 epochs, stopped after the seconds from Python, and not from the shell."""
    assert "seconds" in preset("mnist-likelihood")["training"]
    training = configuration({"epochs": 400}, preset_name="mnist-likelihood").training
    assert (training.epochs, training.steps, training.seconds) == (400, None, None)


def test_a_limit_said_later_replaces_those_of_preset_and_file(tmp_path):
    def limits(**words):
        training = configuration(words.pop("words", {}), preset_name="course-vae", **words).training
        return training.epochs, training.steps, training.seconds

    file = tmp_path / "c.toml"
    file.write_text("[training]\nsteps = 7\n")
    assert limits() == (10, None, None)
    assert limits(words={"epochs": 1}) == (1, None, None)
    assert limits(words={"seconds": 5.0}) == (None, None, 5.0)
    assert limits(file=file) == (None, 7, None)
    assert limits(assignments=["training.steps=9"]) == (None, 9, None)
    assert limits(words={"epochs": 2}, assignments=["training.seconds=5"]) == (2, None, 5.0)  # the first that is met
    assert preset("course-vae")["training"]["epochs"] == 10


def test_a_limit_given_with_resume_replaces_the_run_s():
    assert _limits({"steps": 5}, None, None, None, None) == {"epochs": None, "steps": 5, "seconds": None}
    assert _limits({"patience": 5}, None, None, None, None) == {"patience": 5}
    assert _limits({"source": "moved"}, None, None, None, None) == {}


def test_an_unknown_word_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean latent_dim"):
        in_sections({"latent_dims": 2})


def test_words_are_unambiguous():
    """Every key has a word, and a word with two sections is none."""
    assert {".".join(place) for place in places().values()} == set(known_keys())
    assert "layers" not in places()
    assert places()["prior_layers"] == ("prior", "layers")


@pytest.mark.parametrize(
    ("former", "today"),
    [
        ({"prior": "flow", "flow_layers": 3}, {"prior": {"kind": "flow", "layers": 3}}),
        ({"objective": "infovae", "mmd_weight": 7.0}, {"objective": "infovae", "weight": 7.0}),
        ({"objective": "factor", "factor_gamma": 7.0}, {"objective": "factor", "objective_gamma": 7.0}),
        ({"prior": "vamp", "prior_components": 7}, {"prior": "vamp", "components": 7}),
        ({"objective": "dip", "dip_kind": "i", "dip_off": 2.0}, {"objective": "dip", "variant": "i", "off": 2.0}),
    ],
)
def test_former_words_are_read(former, today):
    assert configuration(former) == configuration(today)
    for word, value in former.items():
        section = "model" if word in ("prior", "flow_layers", "prior_components") else "objective"
        key = "kind" if word == "objective" else word
        if word not in ("prior", "objective"):
            kinds = {k: v for k, v in former.items() if k in ("prior", "objective")}
            rest = {k: v for k, v in former.items() if k not in (*kinds, word)}
            text = f"{section}.{key}={value}"
            assert configuration({**kinds, **rest}, assignments=[text]) == configuration(today)
