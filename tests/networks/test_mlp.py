"""The parts of the fully connected networks that no shape gives away."""

import math

import pytest
import torch

from zatlas.networks import MLPDecoder, MLPEncoder, SineFeatures


def test_sine_features_are_z_and_waves_of_it():
    torch.manual_seed(0)
    features = SineFeatures(2, 500)
    z = torch.randn(3, 4, 2)
    expected = torch.sin(z @ features.waves.weight.T + features.waves.bias)
    torch.testing.assert_close(features(z), torch.cat([z, expected], -1))
    assert features.waves.weight.std().item() == pytest.approx(math.sqrt(8 / 2), rel=0.1)


def test_sine_features_stay_exact_under_autocast():
    torch.manual_seed(0)
    features, z = SineFeatures(2, 50), torch.randn(9, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = features(z)
    torch.testing.assert_close(rounded, features(z))


def test_a_conditional_network_wants_labels_and_another_takes_none():
    x, y = torch.rand(4, 1, 3, 3), torch.eye(2)[[0, 1, 0, 1]]
    conditional = MLPEncoder(9, (5,), 2, label_dim=2)
    with pytest.raises(ValueError, match="needs y"):
        conditional(x, None)
    assert not torch.equal(conditional(x, y), conditional(x, y.flip(0)))
    decoder = MLPDecoder(2, (5,), (1, 3, 3), sines=4, normalise=True)
    assert torch.equal(decoder(torch.ones(4, 2), y), decoder(torch.ones(4, 2), None))
