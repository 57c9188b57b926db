"""What a GAN is built of where nothing is said, and what a run of an older zatlas was built of."""

import pytest

from zatlas import recipes
from zatlas.config import as_written, make_config, read_toml
from zatlas.types import DataSpec

IMAGE, COLUMNS, TINY = DataSpec((1, 28, 20), "uint8"), DataSpec((5,), "real"), DataSpec((1, 4, 4), "uint8")


def chosen(spec, **values):
    resolved = recipes.resolve(make_config(("test", values)), spec, 10)
    return resolved.network_kind, getattr(resolved.objective, "penalty_every", None)


@pytest.mark.parametrize("kind", ["gan", "cgan"])
def test_a_gan_of_images_is_convolutional_and_pays_its_penalty_lazily(kind):
    assert chosen(IMAGE, model={"kind": kind}) == ("conv", 8)
    assert chosen(COLUMNS, model={"kind": kind}) == ("mlp", 1)
    assert chosen(TINY, model={"kind": kind}) == ("mlp", 1)
    assert chosen(IMAGE, model={"kind": kind, "network": "mlp"}) == ("mlp", 1)
    assert chosen(IMAGE, model={"kind": kind}, objective={"penalty_every": 3}) == ("conv", 3)
    assert chosen(IMAGE, model={"kind": kind}, objective={"kind": "wasserstein"}) == ("conv", 8)
    assert chosen(IMAGE, model={"kind": kind}, objective={"kind": "gan"}) == ("conv", None)


@pytest.mark.parametrize("kind", ["ae", "vae", "cvae", "ladder", "vqvae"])
def test_every_other_model_is_built_of_the_mlp(kind):
    assert chosen(IMAGE, model={"kind": kind})[0] == "mlp"


def old(**model):
    """The configuration of a run that was made before the strided network and the lazy penalty."""
    objective = {"kind": "relativistic", "penalty": 1.0, "penalty_steps": 0, "spectral_norm": False, "beta": 1.0}
    return {"model": {"kind": "gan", "latent_dim": 64, "prior": "normal", "levels": 3, **model}, "objective": objective}


@pytest.mark.parametrize(("before", "now"), [("conv", "resnet"), ("mlp", "mlp"), ("course-mlp", "course-mlp")])
def test_an_older_run_keeps_its_network_and_its_penalty(before, now, tmp_path):
    import tomli_w

    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(old(network=before)))
    config = make_config(("file", read_toml(path)))
    assert (config.network_kind, config.objective.penalty_every) == (now, 1)
    path.write_text(config.to_toml())
    assert make_config(("file", read_toml(path))) == config  # and once in today's words it stays


def test_only_whole_files_of_gans_are_read_so():
    for values in ({"network": {"kind": "conv"}, "model": {"kind": "gan"}}, {"model": {"kind": "gan"}}, {}):
        assert as_written(values) == values
    today = make_config(("test", {"model": {"kind": "gan", "network": "conv"}})).model_dump(exclude_none=True)
    assert as_written(today) == today
