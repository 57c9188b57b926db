"""Named architectures: weights that others trained fit them one for one, and give the numbers that others got."""

import numpy as np
import pytest
import torch
from torch import nn

from zatlas.errors import UsageError
from zatlas.networks.burgess import BurgessDecoder, BurgessEncoder
from zatlas.networks.konny import KonnyDecoder, KonnyEncoder


def load(folder, name):
    with np.load(folder / f"{name}.npz") as arrays:
        expected = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return torch.load(folder / f"{name}.pt", weights_only=True), expected


def fill(network: nn.Module, weights: dict[str, torch.Tensor], names: list[str]) -> None:
    """Gives the layers of a network, in their order, the weights and biases of the named ones."""
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))]
    for layer, name in zip(layers, names, strict=True):
        layer.load_state_dict({"weight": weights[f"{name}.weight"], "bias": weights[f"{name}.bias"]})


def numbered(weights, prefix):
    """The names of the layers of an ``nn.Sequential``, in their order."""
    return sorted({n.rsplit(".", 1)[0] for n in weights if n.startswith(prefix)}, key=lambda n: int(n.split(".")[1]))


@torch.no_grad()
@pytest.mark.parametrize(("name", "shape"), [("VAE_mnist", (1, 32, 32)), ("betaH_celeba", (3, 64, 64))])
def test_burgess_gives_the_numbers_of_disentangling_vae(pretrained, name, shape):
    weights, expected = load(pretrained, name)
    big = shape[1] == 64
    encoder, decoder = BurgessEncoder(shape, 20), BurgessDecoder(10, shape)
    convolutions = ["conv1", "conv2", "conv3", *(["conv_64"] if big else [])]
    fill(encoder, weights, [f"encoder.{n}" for n in [*convolutions, "lin1", "lin2", "mu_logvar_gen"]])
    transposed = [*(["convT_64"] if big else []), "convT1", "convT2", "convT3"]
    fill(decoder, weights, [f"decoder.{n}" for n in ["lin1", "lin2", "lin3", *transposed]])
    assert sum(p.numel() for n in (encoder, decoder) for p in n.parameters()) == sum(map(torch.numel, weights.values()))
    for parameter in (encoder.out.weight, encoder.out.bias):  # theirs are mean, log-variance, mean, log-variance, ...
        parameter.copy_(torch.cat([parameter[0::2], parameter[1::2]]))
    mean, log_variance = encoder(expected["x"], None).chunk(2, -1)
    torch.testing.assert_close(mean, expected["mean"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(log_variance, expected["logvar"], atol=1e-5, rtol=1e-5)
    decoded = decoder(expected["z"], None).sigmoid()
    torch.testing.assert_close(decoded, expected["decoded"], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_konny_gives_the_numbers_of_beta_vae_h(pretrained):
    checkpoint, expected = load(pretrained, "konny_BetaVAE_H_z32_random_weights")
    weights = checkpoint["model_states"]["net"]
    encoder, decoder = KonnyEncoder((3, 64, 64), 64), KonnyDecoder(32, (3, 64, 64))
    fill(encoder, weights, numbered(weights, "encoder."))
    fill(decoder, weights, numbered(weights, "decoder."))
    assert sum(p.numel() for n in (encoder, decoder) for p in n.parameters()) == sum(map(torch.numel, weights.values()))
    mean, log_variance = encoder(expected["x"], None).chunk(2, -1)
    torch.testing.assert_close(mean, expected["mean"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(log_variance, expected["logvar"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(decoder(expected["z"], None), expected["decoded_logits"], atol=1e-5, rtol=1e-5)


def test_burgess_at_64_has_the_layers_of_beta_vae_b():
    shapes = lambda net: [tuple(p.shape) for name, p in net.named_parameters() if name.endswith("weight")]
    convolutions = [(32, 1, 4, 4), *[(32, 32, 4, 4)] * 3]
    assert shapes(BurgessEncoder((1, 64, 64), 20)) == [*convolutions, (256, 512), (256, 256), (20, 256)]
    transposed = [*[(32, 32, 4, 4)] * 3, (32, 1, 4, 4)]
    assert shapes(BurgessDecoder(10, (1, 64, 64))) == [(256, 10), (256, 256), (512, 256), *transposed]


NAMED = [
    (BurgessEncoder, BurgessDecoder, (1, 32, 32)),
    (BurgessEncoder, BurgessDecoder, (3, 64, 64)),
    (KonnyEncoder, KonnyDecoder, (3, 64, 64)),
]


@pytest.mark.parametrize(("encoder", "decoder", "shape"), NAMED)
def test_shapes_and_labels(encoder, decoder, shape):
    x, y, z = torch.rand(2, *shape), torch.eye(2), torch.randn(3, 2, 5)
    assert encoder(shape, 7)(x, None).shape == (2, 7)
    assert decoder(5, (2 * shape[0], *shape[1:]))(z, None).shape == (3, 2, 2 * shape[0], *shape[1:])
    conditional_encoder, conditional_decoder = encoder(shape, 7, label_dim=2), decoder(5, shape, label_dim=2)
    assert not torch.equal(conditional_encoder(x, y), conditional_encoder(x, y.flip(0)))
    labels = y.expand(3, 2, 2)
    assert not torch.equal(conditional_decoder(z, labels), conditional_decoder(z, labels.flip(-1)))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 32), (1, 16, 16)])
def test_other_sizes_are_refused_with_the_mend(shape):
    for build in (lambda: BurgessEncoder(shape, 4), lambda: BurgessDecoder(2, shape)):
        with pytest.raises(UsageError, match=f"32x32 and 64x64 .* {shape[1]}x{shape[2]}: resize with --resize 64x64"):
            build()
    for build in (lambda: KonnyEncoder(shape, 4), lambda: KonnyDecoder(2, shape)):
        with pytest.raises(UsageError, match=f"64x64 images .* {shape[1]}x{shape[2]}: resize with --resize 64x64"):
            build()
