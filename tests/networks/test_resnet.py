"""Residual networks: any image comes back at its size, and an untrained block is the identity."""

import pytest
import torch

from zatlas.networks.resnet import ConvBlock, Pyramid, ResNetDecoder, ResNetEncoder, group_norm

SIZES = [(28, 28), (28, 20), (105, 105), (37, 50), (8, 8), (5, 64), (64, 64), (4, 4), (3, 100), (1, 1)]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("blocks", [0, 2])
def test_every_size_goes_in_and_comes_out(height, width, blocks):
    encoder = ResNetEncoder((3, height, width), (4, 6, 8), 5, blocks=blocks)
    decoder = ResNetDecoder(2, (4, 6, 8), (6, height, width), blocks=blocks)
    assert encoder(torch.rand(2, 3, height, width), None).shape == (2, 5)
    assert decoder(torch.randn(3, 2, 2), None).shape == (3, 2, 6, height, width)


def test_stages_halve_and_the_way_down_passes_the_sizes_of_the_way_up():
    pyramid = Pyramid.over(37, 50, (4, 6, 8))
    assert pyramid.sizes == ((19, 25), (10, 13), (5, 7))
    fine = pyramid.stem(1)(torch.rand(1, 1, 37, 50))
    assert fine.shape[1:] == (4, 19, 25)
    coarse = pyramid.travel(0, 2)(fine)
    assert coarse.shape[1:] == pyramid.top == (8, 5, 7)
    assert pyramid.travel(2, 1)(coarse).shape[1:] == (6, 10, 13)
    assert pyramid.travel(2, 0)(coarse).shape == fine.shape
    assert len(pyramid.travel(1, 1, blocks=3)) == 0
    assert Pyramid.over(20, 20, (4, 6, 8, 10, 12)).sizes == ((10, 10), (5, 5), (3, 3))  # too small for five


def test_an_untrained_block_is_the_identity_and_can_learn():
    block, x = ConvBlock(12), torch.randn(2, 12, 5, 4)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.layers[-1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 1), (12, 1), (16, 4), (32, 8), (48, 4), (256, 8)])
def test_groups_divide_any_width(channels, groups):
    assert group_norm(channels).num_groups == groups


def test_a_network_with_labels_reads_them_and_another_does_not():
    x, y, z = torch.rand(4, 1, 9, 8), torch.eye(2)[[0, 1, 0, 1]], torch.randn(4, 3)
    encoder, decoder = (
        ResNetEncoder((1, 9, 8), (4, 4), 2, label_dim=2),
        ResNetDecoder(3, (4, 4), (1, 9, 8), label_dim=2),
    )
    assert not torch.equal(encoder(x, y), encoder(x, y.flip(0)))
    assert not torch.equal(decoder(z, y), decoder(z, y.flip(0)))
    with pytest.raises(ValueError, match="needs y"):
        encoder(x, None)
    plain = ResNetDecoder(3, (4, 4), (1, 9, 8))
    assert torch.equal(plain(z, y), plain(z, None))


def test_examples_do_not_see_each_other():
    torch.manual_seed(0)
    encoder, x = ResNetEncoder((1, 9, 8), (8, 8), 2), torch.rand(4, 1, 9, 8)
    torch.testing.assert_close(encoder(x, None)[:1], encoder(x[:1], None))


def test_bf16_runs():
    encoder, decoder = ResNetEncoder((1, 9, 8), (8, 8), 2), ResNetDecoder(2, (8, 8), (1, 9, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = decoder(encoder(torch.rand(2, 1, 9, 8), None), None)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert all(p.grad is not None for p in decoder.parameters())
