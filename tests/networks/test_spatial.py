"""A code that is a map: what is where in the image is there in the code."""

import pytest
import torch

from zatlas import recipes
from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.types import DataSpec


def model(shape=(3, 16, 24), kind="vae", settings=None, **words):
    settings = {"kind": "spatial", "size": "xs", "code_channels": 2, **(settings or {})}
    config = make_config(("test", {"model": {"kind": kind, **words}, "network": settings}))
    torch.manual_seed(0)
    return recipes.build_model(config, DataSpec(shape, "uint8")).eval()


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_code_follows_from_the_image(factor):
    made = model(settings={"factor": factor})
    channels, height, width = made.code_shapes[0]
    assert (channels, height, width) == (2, 16 // factor, 24 // factor)
    assert made.latent_dims == (channels * height * width,)
    q = made.encode(torch.rand(2, 3, 16, 24))
    assert q.mean.shape == (2, channels * height * width)
    assert made.generate(z=(q.mean,)).px.mean.shape == (1, 2, 3, 16, 24)


@torch.no_grad()
def test_units_lie_where_they_act():
    """Without its norms, which see the whole image, a decoder moves pixels near the place of a unit and no others."""
    made = model((1, 64, 64), settings={"factor": 4, "code_channels": 1})
    for module in made.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.forward = lambda x: x
    z = torch.zeros(2, *made.code_shapes[0])
    z[1, 0, 2, 12] = 3.0
    still, moved = made.generate(z=(z.flatten(1),)).px.mean[0, :, 0]
    rows, columns = torch.where((moved - still).abs() > 1e-7)
    assert rows.max() < 40
    assert columns.min() > 24
    assert 8 <= rows.float().mean() <= 18
    assert 44 <= columns.float().mean() <= 54


def test_sizes_that_do_not_divide():
    with pytest.raises(
        UsageError, match="divides height and width by 4, and these images are 30x28: give --resize 32x28"
    ):
        model((1, 30, 28))
    with pytest.raises(UsageError, match="wants images, not 5 columns"):
        model((5,))


def test_another_number_of_units_is_refused():
    with pytest.raises(UsageError, match=r"2x4x6 = 48 units of these images, and model.latent_dim = 16: leave"):
        model(latent_dim=16)
    assert model(latent_dim=48).latent_dims == (48,)


def test_posteriors_that_have_no_place():
    with pytest.raises(UsageError, match=r"posterior.kind = 'diagonal', not with 'full'"):
        model(posterior="full")


def test_labels_reach_both_ways():
    config = make_config(("test", {"model": {"kind": "cvae"}, "network": {"kind": "spatial", "size": "xs"}}))
    made = recipes.build_model(config, DataSpec((1, 8, 8), "uint8", "class", ("a", "b"))).eval()
    x, z = torch.rand(1, 1, 8, 8), torch.zeros(1, *made.latent_dims)
    one, other = torch.eye(2)[:1], torch.eye(2)[1:]
    with torch.no_grad():
        for layer in (made.encoder.net.labels, made.decoder.net.labels):
            layer.weight.add_(torch.tensor([1.0, -1.0]))
        assert not torch.allclose(made.encode(x, one).mean, made.encode(x, other).mean)
        px = [made.generate(y=y, z=(z,)).px.mean for y in (one, other)]
        made.decoder.net.out[-1].weight.normal_()
        px = [made.generate(y=y, z=(z,)).px.mean for y in (one, other)]
    assert not torch.allclose(*px)
