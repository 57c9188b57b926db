"""A generator draws, and repeats itself where z is given."""

import pytest
import torch

from zatlas.distributions import Point
from zatlas.models.generator import Generator
from zatlas.networks import ConditionalNormal, Decoder, StandardNormal
from zatlas.networks.adversarial import ImplicitLikelihood, ResidualGenerator

SHAPE = (2, 5, 3)


def generator(label_dim=0, prior=None):
    torch.manual_seed(0)
    net = ResidualGenerator(4, 8, SHAPE, label_dim=label_dim)
    return Generator(Decoder(net, ImplicitLikelihood(3)), prior or StandardNormal(4), 4)


def test_z_and_x_have_the_promised_shapes():
    model = generator()
    assert model.latent_dims == (4,)
    for n, count in ((None, 1), (6, 6)):
        (z,), px = model.generate(n)
        assert z.shape == (1, count, 4)
        assert px.mean.shape == px.rsample().shape == (1, count, *SHAPE)
        assert px.batch_shape == (1, count)
        assert px.event_shape == SHAPE
    assert model.generate(z=(torch.zeros(3, 5, 4),)).px.mean.shape == (3, 5, *SHAPE)


def test_given_z_it_is_deterministic_and_without_it_is_not():
    model, z = generator(), torch.randn(5, 4)
    first, again = (model.generate(z=(z,)) for _ in range(2))
    assert torch.equal(first.px.mean, again.px.mean)
    assert torch.equal(first.z[0], z[None])
    assert torch.equal(first.px.sample(), first.px.mean)
    assert not torch.equal(model.generate(5).px.mean, model.generate(5).px.mean)


@pytest.mark.parametrize("prior", [StandardNormal(4), ConditionalNormal(4, 3)])
def test_one_draw_for_each_label_and_the_label_matters(prior):
    model = generator(label_dim=3, prior=prior)
    y = torch.eye(3)
    assert model.generate(y=y).z[0].shape == (1, 3, 4)
    z = torch.randn(1, 4).expand(3, 4)
    one, two, three = model.generate(y=y, z=(z,)).px.mean[0]
    assert not torch.equal(one, two)
    assert not torch.equal(two, three)
    with pytest.raises(ValueError, match="needs y"):
        generator(label_dim=3).generate(2)


def test_a_point_over_images_is_all_there_or_not_at_all():
    x = torch.rand(2, *SHAPE)
    p = Point(x, 3)
    other = x.clone()
    other[1, 0, 0, 0] += 1
    assert p.log_prob(other).tolist() == [0.0, -torch.inf]
    assert p.expand((4, 2)).log_prob(x).shape == (4, 2)
    assert p.expand((4, 2)).event_shape == SHAPE
