"""What units mean is found in models whose units are known, and said in words."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zatlas.config import make_config
from zatlas.errors import UsageError, ZatlasError
from zatlas.runs.opened import Run
from zatlas.runs.training import train
from zatlas.walks.describe import describe
from zatlas.walks.unit_facts import learned_variables
from zatlas.walks.unit_words import amount, answer, correlation, sentence


def trained(folder, source="digits", kind="vae", steps=4, **model):
    values = {
        "data": {"source": str(source)},
        "model": {"kind": kind, **({"size": "xs"} if kind not in ("ppca", "fa") else {}), **model},
        "training": {"steps": steps, "precision": "fp32", "threads": 1},
    }
    train(make_config(("test", values)), out=folder)
    return Run(folder)


def bars(n=400, side=16):
    """Upright bars of two factors: where they stand, and how bright they are."""
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(2, 12, n), rng.integers(0, 4, n)], axis=1)
    x = np.zeros((n, 1, side, side), np.uint8)
    for image, (place, light) in zip(x, factors, strict=True):
        image[0, 3:13, place : place + 3] = 105 + 50 * light
    return x, factors


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A VAE of bars with its decoder replaced: z1 moves the bar, z2 dims it, z3 does nothing."""
    folder = tmp_path_factory.mktemp("moved")
    x, factors = bars()
    np.savez(folder / "bars.npz", images=x, factors=factors, factor_names=["place", "light"])
    experiment = trained(folder / "run", folder / "bars.npz", latent_dim=3, steps=2)
    columns = torch.arange(16.0)
    mean, code = experiment.model.decoder, experiment.model.encoder

    def decoder(z, y=None):
        px = mean(z, y)
        place, light = 7.5 + 1.5 * z[..., 0], torch.sigmoid(1 + z[..., 1])
        bar = torch.exp(-(((columns - place[..., None]) / 1.5) ** 2)) * light[..., None]
        image = torch.zeros(*z.shape[:-1], 1, 16, 16)
        image[..., 0, 3:13, :] = bar[..., None, :]
        return type(px)(torch.logit(image.clamp(1e-6, 1 - 1e-6)))

    def encoder(x, y=None):
        q = code(x, y)
        mass = x.sum((1, 2)).clamp(1e-6)
        place = ((mass * columns).sum(1) / mass.sum(1) - 7.5) / 1.5
        light = x.amax((1, 2, 3)) * 6 - 4
        return type(q)(torch.stack([place, light, 0 * light], 1), torch.tensor([-6.0, -6.0, 0.0]).expand(len(x), 3))

    class Fixed(torch.nn.Module):
        def __init__(self, of):
            super().__init__()
            self.of = of

        def forward(self, x, y=None):
            return self.of(x, y)

    experiment.model.decoder, experiment.model.encoder = Fixed(decoder), Fixed(encoder)
    return experiment


@pytest.mark.slow
def test_units_that_are_known_are_found_by_their_properties_and_factors(moved):
    view = describe(moved, bases=20, steps=5)
    units = {unit["name"]: unit for unit in view.facts["units"]}
    found = {variable["name"]: variable for variable in view.facts["variables"]}
    assert found["centre x"]["unit"] == "z1"
    assert found["ink strength"]["unit"] == "z2"
    assert set(found) == {"centre x", "ink strength"}
    place = found["centre x"]
    sd = np.std(moved.encode(moved.spread("test", 2000)).mean[:, 0])
    assert place["slope"] == pytest.approx(1.5 * sd, rel=0.1)
    assert place["correlation"] > 0.95
    assert units["z3"]["dead"]
    assert units["z1"]["factors"][0]["name"] == "place"
    assert units["z1"]["factors"][0]["r2"] == pytest.approx(1, abs=0.02)
    assert units["z2"]["factors"][0]["name"] == "light"
    said = " ".join(view.sentences)
    assert "z1" in said
    assert "centre x" in said
    assert "z3: dead" in said
    assert "Only 2 variables" in said


def test_arrays_belong_together_and_facts_are_json(moved):
    view = describe(moved, bases=12, steps=5, units=(2, 0))
    assert view["units"].tolist() == [0, 2]  # by rate
    shapes = {name: view[name].shape for name in ("values", "effect", "heat", "correlation", "share", "slope_error")}
    count = len(view["properties"])
    assert shapes["values"] == (2, 5)
    assert shapes["heat"] == (2, 1, 16, 16)
    assert shapes["effect"] == (2,)
    assert {shapes[name] for name in ("correlation", "share", "slope_error")} == {(2, count)}
    again = json.loads(json.dumps(view.facts, allow_nan=False))
    assert [unit["unit"] for unit in again["units"]] == [1, 3]
    names = view["properties"].tolist()
    for row, unit in enumerate(view.facts["units"]):
        for link in unit["properties"]:
            assert view["correlation"][row, names.index(link["name"])] == link["correlation"]
            assert view["share"][row, names.index(link["name"])] == link["share_of_variance"]
    assert view.figure is not None
    assert view.alt


def test_the_same_seed_says_the_same(moved):
    one, two, other = (describe(moved, bases=10, steps=3, seed=seed) for seed in (1, 1, 2))
    assert one.facts == two.facts
    assert one.facts != other.facts


def test_a_conditional_model_is_described_with_the_rows_own_labels_or_with_one(digits_run):
    experiment = Run(digits_run)
    own, three = (describe(experiment, bases=12, steps=3, label=label) for label in (None, "3"))
    assert not np.allclose(own["effect"], three["effect"])
    with pytest.raises(UsageError, match="no class"):
        describe(experiment, label="eleven")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gan", "cgan", "ae", "ladder", "ppca"])
def test_every_kind_with_axes_is_described(kind, tmp_path):
    experiment = trained(tmp_path / kind, kind=kind, latent_dim=3)
    told = []
    view = describe(experiment, bases=9, steps=3, progress=told.append)
    assert sum(told) == experiment.latent_dim
    assert len(view.sentences) >= 2
    json.dumps(view.facts, allow_nan=False)
    assert ("factors" in view.facts["units"][0]) == experiment.kind.infers


@pytest.mark.slow
def test_without_data_codes_come_from_the_prior(digits_run, monkeypatch):
    experiment = Run(digits_run)
    monkeypatch.setattr(Run, "has_data", False)
    view = describe(experiment, bases=9, steps=3)
    assert view.facts["units"][0]["rate_nats"] is None
    assert "factors" not in view.facts["units"][0]


@pytest.mark.slow
def test_what_cannot_be_described_is_refused(tmp_path, monkeypatch):
    words = trained(tmp_path / "vq", kind="vqvae")
    with pytest.raises(UsageError, match="words of a codebook"):
        describe(words)
    ae = trained(tmp_path / "ae", kind="ae")
    with pytest.raises(UsageError, match="no unit 9"):
        describe(ae, units=(8,))
    with pytest.raises(UsageError, match="8 base codes or more"):
        describe(ae, bases=5)
    monkeypatch.setattr(Run, "has_data", False)
    with pytest.raises(ZatlasError, match="no distribution over codes"):
        describe(ae)


def test_vectors_are_described_by_their_features(tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 2)) * [3, 1]
    weights = np.zeros((2, 6))
    weights[0, 1], weights[1, 4] = 1, 1
    np.save(tmp_path / "x.npy", (z @ weights + 0.1 * rng.normal(size=(300, 6))).astype(np.float32))
    view = describe(trained(tmp_path / "run", tmp_path / "x.npy", kind="ppca", latent_dim=2))
    assert {v["name"] for v in view.facts["variables"]} == {"feature 2", "feature 5"}
    assert view.figure is not None
    assert all("pixel" not in sentence for sentence in view.sentences)


def test_real_images_are_measured_on_the_scale_of_their_bases(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1, 1, 1)) * rng.random((1, 1, 8, 8)) + 0.1 * rng.normal(size=(200, 1, 8, 8))
    effects = []
    for name, images in (("one", x), ("two", 3 * x + 7)):
        np.savez(tmp_path / f"{name}.npz", images=images.astype(np.float32))
        run = trained(tmp_path / name, tmp_path / f"{name}.npz", kind="ppca", latent_dim=1)
        effects.append(describe(run)["effect"][0])
    assert 0.01 < effects[0] < 1
    assert effects[1] == pytest.approx(effects[0], rel=0.15)  # other rows are held out


def test_each_unit_and_each_property_is_counted_once_and_what_is_the_same_is_not_counted_again():
    found = SimpleNamespace(names=("a", "b", "c", "d"), likeness=np.eye(4))
    found.likeness[0, 1] = found.likeness[1, 0] = -0.9
    link = lambda name, share, learned=True: {"name": name, "share_of_variance": share, "learned": learned}
    units = [
        {"name": "z1", "properties": [link("a", 0.9), link("c", 0.5)]},
        {"name": "z2", "properties": [link("a", 0.8), link("b", 0.7), link("c", 0.3)]},
        {"name": "z3", "properties": [link("d", 0.2, learned=False)]},
    ]
    assert [(v["unit"], v["name"]) for v in learned_variables(found, units)] == [("z1", "a"), ("z2", "c")]


LINK = {
    "name": "slant", "correlation": -0.9712, "correlation_error": 0.012, "curve": 0.95, "slope": -12.34,
    "slope_error": 0.4, "slope_unit": "°", "share_of_variance": 0.4, "total_share": 0.42, "learned": True,
}  # fmt: skip
UNIT = {
    "name": "z2", "unit": 2, "rate_nats": 1.93, "dead": False, "properties": [LINK], "effect": 0.04,
    "effect_error": 0.0021, "effect_share": 0.2, "where": "mostly at the top right",
}  # fmt: skip


def test_a_sentence_says_unit_property_evidence_and_place():
    assert amount(LINK) == "−12.3 ± 0.4°"
    assert correlation(LINK) == "r = −0.97 ± 0.01"
    assert sentence(UNIT) == (
        "z2 (1.93 nats): slant, r = −0.97 ± 0.01, −12.3 ± 0.4° per s.d.; changes a pixel by 4.0 ± 0.2% of full range "
        "per s.d., 20% of what all units do, mostly at the top right."
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"curve": 0.8, "correlation": 0.1}, "turns back along it"),
        ({"share_of_variance": 0.01}, "which is 1.0% of that property's variance"),
        ({"curve": 0.1, "correlation": 0.2}, "no simple property moves with it"),
    ],
)
def test_what_is_not_learned_is_not_claimed(changed, words):
    assert words in sentence({**UNIT, "properties": [{**LINK, "learned": False, **changed}]})


def test_the_answer_counts_what_there_is():
    variables = [{**LINK, "unit": f"z{i}", "name": name} for i, name in enumerate("abcd")]
    assert "At least 4 variables" in answer([UNIT], variables, 64, 100, 10)[-1]
    assert "Only 1 variable can" in answer([UNIT], variables[:1], 64, 100, 10)[-1]
    assert "No variable" in answer([UNIT], [], 64, 100, 10)[-1]
    many = [{**UNIT, "dead": i > 11, "rate_nats": None} for i in range(13)]
    said = answer(many, [], 64, 100, 10)
    assert said[0].startswith("2 more units")
    assert "dead, no effect to speak of" in said[1]
