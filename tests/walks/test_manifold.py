"""Planes of a model: which there are, and which words contradict one another."""

import numpy as np
import pytest

from zatlas.errors import UsageError
from zatlas.walks import manifold


def test_the_corners_of_a_plane_through_images_are_their_reconstructions(run):
    vae = run("vae")
    view = manifold(vae, through=(3, 7, 12), n=4)
    _, _, back = vae.reconstruct(np.array([3, 7, 12]))
    np.testing.assert_allclose(view["mean"][[-1, -1, 0], [0, -1, 0]], back.mean, atol=1e-5)


def test_a_conditional_model_shows_a_plane_for_each_class(run):
    every = manifold(run("cvae"), n=3, units=(0, 1))
    assert every["mean"].shape == (10, 3, 3, 1, 8, 8)
    assert [axes.get_title(loc="left") for axes in every.figure.axes] == list("0123456789")
    one = manifold(run("cvae"), n=3, units=(0, 1), label="4")
    np.testing.assert_allclose(one["mean"], every["mean"][4], atol=1e-6)


def test_the_middle_of_the_principal_plane_is_the_mean_code(run):
    vae = run("vae")
    view = manifold(vae, n=3, principal=True)
    mean = vae.encode(vae.spread("train", 2000)).mean.mean(0)
    np.testing.assert_allclose(view["origin"], mean, atol=1e-6)
    np.testing.assert_allclose(view["mean"][1, 1], vae.decode(mean[None]).mean[0], atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"units": (0, 1), "principal": True}, "choose one"),
        ({"through": (1, 2, 3), "principal": True}, "choose one"),
        ({"through": (1, 2, 3), "span": 2.0}, "leave span and spacing out"),
        ({"through": (1, 2, 3), "spacing": "quantile"}, "leave span and spacing out"),
        ({"through": (1, 2, 99999)}, "there is no row 99999"),
        ({"through": (1, 2, 2)}, "choose other images"),
        ({"units": (1, 1)}, "name two"),
        ({"units": (0, 7)}, "no unit 8"),
        ({"label": "3"}, "takes no label"),
    ],
)
def test_words_that_cannot_be(words, said, run):
    with pytest.raises(UsageError, match=said):
        manifold(run("vae"), n=3, **words)
