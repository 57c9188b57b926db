"""A spatial code keeps its shape in everything that shows it or takes it."""

import json

import numpy as np
import pytest

from tests.cli.conftest import zatlas  # noqa: F401 (a fixture)
from zatlas import walks
from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.export import parts_of
from zatlas.report.space import latent_space
from zatlas.runs.training import train

SHAPE = (2, 4, 4)


@pytest.fixture(scope="module")
def spatial(tmp_path_factory):
    """A run on the digits, 8x8, trained for a few steps: two channels on 4x4 places."""
    values = {
        "data": {"source": "digits"},
        "model": {"kind": "vae"},
        "network": {"kind": "spatial", "size": "xs", "code_channels": 2, "factor": 2},
        "training": {"steps": 4, "precision": "fp32", "threads": 1},
    }
    return train(make_config(("test", values)), out=tmp_path_factory.mktemp("runs") / "spatial")


def test_it_knows_its_shape(spatial):
    assert spatial.code_shape == SHAPE
    assert spatial.unit_names[:2] == ["c1 (1, 1)", "c1 (1, 2)"]
    assert spatial.unit_names[-1] == "c2 (4, 4)"
    assert "z = 2x4x4" in repr(spatial)


def test_it_is_walked_by_channels_and_by_places(spatial):
    view = walks.traverse(spatial, steps=3)
    assert sorted(view["units"]) == [0, 1]
    assert view["rates"].sum() == pytest.approx(spatial.unit_rates().sum(), rel=1e-5)
    at_place = walks.traverse(spatial, units=((1, 2, 3), 1), steps=3, row=5)
    assert at_place["units"].tolist() == [[1, 2, 3], [1, -1, -1]]
    assert at_place.facts["units"] == [[2, 3, 4], 2]
    z = spatial.encode(np.array([5])).mean.reshape(SHAPE)
    z[1, 2, 3] = -2.5
    np.testing.assert_allclose(at_place["mean"][0, 0], spatial.decode(z[None]).mean[0], atol=1e-5)


def test_a_channel_moves_everywhere_from_where_it_was(spatial):
    view = walks.traverse(spatial, units=(1,), steps=3, span=1.5, row=5)
    z = spatial.encode(np.array([5])).mean.reshape(SHAPE)
    np.testing.assert_allclose(view["mean"][0, 1], spatial.decode(z[None]).mean[0], atol=1e-5)
    z[1] += 1.5
    np.testing.assert_allclose(view["mean"][0, 2], spatial.decode(z[None]).mean[0], atol=1e-5)


def test_planes_and_points_of_channels(spatial):
    plane = walks.manifold(spatial, n=2, units=(0, (1, 0, 2)), span=1.0)
    z = np.zeros(SHAPE, np.float32)
    z[0], z[1, 0, 2] = 1.0, 1.0
    np.testing.assert_allclose(plane["mean"][0, 1], spatial.decode(z[None]).mean[0], atol=1e-5)
    scatter = walks.scatter(spatial, units=(1, (0, 3, 3)), n=20)
    mean = scatter["mean"].reshape(-1, *SHAPE)
    np.testing.assert_allclose(scatter["points"][:, 0], mean[:, 1].mean((1, 2)), atol=1e-5)
    np.testing.assert_allclose(scatter["points"][:, 1], mean[:, 0, 3, 3], atol=1e-5)
    assert len(walks.manifold(spatial, n=2)["units"]) == 2


def test_units_that_are_not_there(spatial):
    for units, called in (((2,), "3"), (((0, 4, 0),), "1,5,1"), (((0, 1),), "1,2")):
        with pytest.raises(UsageError, match=f"no unit {called}: this model has channels 1 to 2 on 4x4 places"):
            walks.traverse(spatial, units=units, steps=2)


def test_describe_says_where(spatial):
    view = walks.describe(spatial, units=((0, 0, 0), (0, 3, 3), 1), bases=8, steps=3)
    assert {unit["name"] for unit in view.facts["units"]} == {"c1 (1, 1)", "c1 (4, 4)", "c2"}
    heat = {tuple(np.atleast_1d(unit)): heat[0] for unit, heat in zip(view["units"], view["heat"], strict=True)}
    assert heat[0, 0, 0][:4, :4].sum() > heat[0, 0, 0][4:, 4:].sum()
    assert heat[0, 3, 3][4:, 4:].sum() > heat[0, 3, 3][:4, :4].sum()
    assert [unit["name"] for unit in walks.describe(spatial, bases=8, steps=3).facts["units"]] in (
        ["c1", "c2"],
        ["c2", "c1"],
    )


def test_paths_take_and_give_maps(spatial):
    there = walks.interpolate(spatial, rows=(3, 5), n=3)
    assert there["z"].shape == (3, *SHAPE)
    again = walks.interpolate(spatial, codes=there["z"][[0, -1]], n=3)
    np.testing.assert_allclose(again["mean"], there["mean"], atol=1e-5)


def test_exported_parts_take_and_give_maps(spatial):
    parts = {part.name: part for part in parts_of(spatial).parts}
    assert (
        parts["decoder"].inputs[0].shape
        == parts["encoder"].outputs[0].shape
        == parts["prior"].outputs[0].shape
        == SHAPE
    )
    for part in parts.values():
        for got, expected in zip(part.expected(part.examples), np.atleast_1d(part.outputs), strict=False):
            assert got.shape[1:] == expected.shape
    assert parts_of(spatial, rows=True).parts[1].inputs[0].shape == (32,)


@pytest.mark.slow
def test_the_report_has_a_map_for_each_channel(spatial):
    section = latent_space(spatial, "test", {"unit_rates": spatial.unit_rates().tolist()})
    assert any("a map for each channel" in picture.caption for picture in section.pictures)


def test_an_ex_post_prior_samples_maps(spatial):
    spatial.fit_prior("mixture", components=1, rows=200)
    pictures, _ = spatial.sample(2, prior="mixture")
    assert spatial.shaped(pictures.z).shape == (2, *SHAPE)


@pytest.mark.slow
def test_the_command_line_counts_from_one(zatlas, spatial, tmp_path):  # noqa: F811
    folder, out = spatial.folder.path, tmp_path / "codes"
    assert zatlas("encode", folder, "--split", "test", "--out", out).status == 0
    with np.load(f"{out}.npz") as codes:
        assert codes["mean"].shape[1:] == codes["std"].shape[1:] == SHAPE
    assert zatlas("decode", folder, f"{out}.npz", "--out", tmp_path / "back").status == 0
    told = zatlas(
        "traverse", folder, "--unit", "2", "--unit", "1,4,2", "--steps", "2", "--out", tmp_path / "t", "--json"
    )
    assert json.loads(told.out)["units"] == [2, [1, 4, 2]]
    refused = zatlas("traverse", folder, "--unit", "3,1,1")
    assert (refused.status, "no unit 3,1,1" in refused.err) == (2, True)
