"""Generators and critics: shapes, starts, and what normalisation does to them."""

import copy
import math

import pytest
import torch
from torch import nn

from zatlas.networks import Decoder
from zatlas.networks.adversarial import (
    BatchNorm,
    CourseCritic,
    CourseGenerator,
    ImplicitLikelihood,
    ProjectionHead,
    Residual,
    ResidualCritic,
    ResidualGenerator,
    he,
    spectrally_normalised,
)
from zatlas.networks.adversarial_conv import (
    ResidualConvCritic,
    ResidualConvGenerator,
    StridedCritic,
    StridedGenerator,
)

SHAPES = [(1, 28, 28), (3, 9, 14), (2, 5, 5)]
KINDS = ["course", "residual", "conv", "strided"]


def pair(kind, shape, label_dim=0):
    """Generator of four latent units, and critic."""
    torch.manual_seed(0)
    size = torch.Size(shape).numel()
    match kind:
        case "course":
            hidden = (16, 8)
            return (
                CourseGenerator(4, shape, label_dim=label_dim, hidden=hidden),
                CourseCritic(size, label_dim=label_dim, hidden=hidden),
            )
        case "residual":
            return (
                ResidualGenerator(4, 8, shape, label_dim=label_dim),
                ResidualCritic(size, 8, label_dim=label_dim),
            )
        case "strided":
            return (
                StridedGenerator(4, (4, 6, 8), 16, shape, label_dim=label_dim),
                StridedCritic(shape, (4, 6, 8), 16, label_dim=label_dim),
            )
        case "conv":
            widths = (4, 6, 8)
            return (
                ResidualConvGenerator(4, widths, shape, label_dim=label_dim, blocks=2),
                ResidualConvCritic(shape, widths, label_dim=label_dim, blocks=2),
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("label_dim", [0, 3])
def test_shapes(kind, shape, label_dim):
    net, critic = pair(kind, shape, label_dim)
    y = torch.eye(3)[[0, 2]] if label_dim else None
    x = Decoder(net, ImplicitLikelihood(3))(torch.randn(5, 2, 4), y).mean
    assert x.shape == (5, 2, *shape)
    assert critic(x[0], y).shape == (2,)


@pytest.mark.parametrize("kind", KINDS)
def test_the_critic_of_labels_wants_them_and_heeds_them(kind):
    _, critic = pair(kind, SHAPES[0], 3)
    x = torch.rand(1, *SHAPES[0]).expand(3, *SHAPES[0])
    scores = critic(x, torch.eye(3))
    assert scores.unique().numel() == 3
    with pytest.raises(ValueError, match="needs y"):
        critic(x, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_scores_every_example_by_itself(kind):
    _, critic = pair(kind, SHAPES[0])
    x = torch.rand(4, *SHAPES[0])
    torch.testing.assert_close(critic(x), torch.cat([critic(row[None]) for row in x]))


@pytest.mark.parametrize("shape", [(1, 28, 20), (3, 32, 32), (2, 5, 7)])
def test_every_pixel_is_seen_by_the_strided_critic_and_painted_by_its_generator(shape):
    net, critic = pair("strided", shape)
    x = torch.rand(1, *shape, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    assert (slope != 0).all()
    assert (net(torch.randn(64, 4), None).std(0) > 0).all()


def test_a_strided_generator_starts_as_the_mean_image_nearly():
    net, _ = pair("strided", SHAPES[0])
    assert 0.02 < net(torch.randn(100, 4), None).std().item() < 0.2  # in units of which black to white is two


@pytest.mark.parametrize("label_dim", [0, 3])
def test_sine_features_are_of_z_and_of_x_alone(label_dim):
    torch.manual_seed(0)
    net = ResidualGenerator(4, 8, (2,), label_dim=label_dim, sines=5)
    critic = ResidualCritic(2, 8, label_dim=label_dim, sines=5)
    y = torch.eye(3) if label_dim else None
    z = torch.randn(3, 4)
    x = net(z, y)
    assert x.shape == (3, 2)
    assert critic(x, y).shape == (3,)
    for part, value in ((net, z), (critic, x)):
        before = part(value, y)
        assert part.features(value).shape == (3, value.shape[1] + 5)
        with torch.no_grad():
            part.features.waves.bias += 2 * math.pi  # a full turn changes nothing, and half a turn does
        torch.testing.assert_close(part(value, y), before)
        with torch.no_grad():
            part.features.waves.bias += math.pi
        assert not torch.allclose(part(value, y), before)


def test_the_projection_is_linear_in_features_and_in_labels():
    head = ProjectionHead(5, label_dim=2)
    h, y = torch.randn(3, 5), torch.randn(3, 2)
    projection = lambda h, y: head(h, y) - head.score(h)[:, 0]
    torch.testing.assert_close(projection(h, 2 * y), 2 * projection(h, y))
    torch.testing.assert_close(projection(2 * h, y), 2 * projection(h, y))


@pytest.mark.parametrize(("squash", "shift", "scale"), [(True, None, None), (False, torch.tensor(3.0), torch.rand(2))])
def test_the_link_gives_the_mean(squash, shift, scale):
    likelihood = ImplicitLikelihood(1, squash=squash, shift=shift, scale=scale)
    mean = torch.tensor([0.2, 0.9])
    torch.testing.assert_close(likelihood(likelihood.link(mean)).mean, mean)


def test_the_course_networks_are_the_courses():
    widths = lambda net: [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]
    assert widths(CourseGenerator(100, (1, 28, 28))) == [(100, 128), (128, 256), (256, 512), (512, 1024), (1024, 784)]
    assert widths(CourseCritic(784)) == [(784, 512), (512, 256), (256, 1)]
    assert sum(isinstance(m, BatchNorm) for m in CourseGenerator(100, (784,)).modules()) == 3


def test_a_batch_of_one_trains_and_leaves_the_running_moments():
    norm = BatchNorm(3)
    before = copy.deepcopy(norm.state_dict())
    x = torch.randn(1, 3)
    torch.testing.assert_close(norm(x), x / (1 + norm.eps) ** 0.5)
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    norm(torch.randn(2, 3))
    assert not torch.equal(norm.running_mean, before["running_mean"])


def test_a_block_starts_as_the_identity_and_its_second_layer_learns_at_once():
    block = Residual(nn.Linear(6, 6), nn.Linear(6, 6), 4)
    h = torch.randn(3, 6)
    assert torch.equal(block(h), h)
    block(h).square().sum().backward()
    assert block.second.weight.grad.abs().sum() > 0


def test_he_keeps_the_scale_through_rectifiers():
    torch.manual_seed(0)
    h = torch.randn(500, 300)
    for _ in range(5):
        h = he(nn.Linear(300, 300))(nn.functional.leaky_relu(h, 0.2))
    assert h.std().item() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_spectral_norm_makes_the_largest_singular_value_one_and_is_copied(kind):
    _, critic = pair(kind, SHAPES[0])
    spectrally_normalised(critic)
    x = torch.rand(4, *SHAPES[0])
    for _ in range(60):
        critic(x)
    copied = copy.deepcopy(critic.eval())
    assert torch.equal(copied(x), critic(x))
    layers = [m for m in critic.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    largest = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2) for layer in layers]
    torch.testing.assert_close(torch.stack(largest), torch.ones(len(largest)), atol=0.05, rtol=0)
    names = [name for name, _ in critic.named_parameters()]
    assert any(name.endswith("original") for name in names)
