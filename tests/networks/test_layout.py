"""Convolutions laid out for a CPU are the ones of torch."""

import pytest
import torch
from torch import nn

from zatlas.networks.layout import Conv2d, ConvTranspose2d, Painter, phases

CASES = [(5, 2, (0, 1)), (5, 2, (1, 1)), (3, 1, (1, 0)), (4, 1, (0, 0)), (2, 0, (0, 0)), (6, 2, (0, 0)), (7, 3, (1, 1))]


def pair(ours, theirs, *arguments, **words):
    torch.manual_seed(0)
    own, other = ours(*arguments, **words), theirs(*arguments, **words)
    other.load_state_dict(own.state_dict())
    return own, other


def same(own, other, x):
    outs, slopes = [], []
    for layer in (own, other):
        held = x.clone().requires_grad_()
        out = layer(held)
        weights = torch.arange(out.numel()).reshape(out.shape).sin()
        slopes.append(torch.autograd.grad((out * weights).sum(), [held, *layer.parameters()]))
        outs.append(out)
    torch.testing.assert_close(outs[0], outs[1], rtol=1e-5, atol=1e-5)
    for a, b in zip(*slopes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("kernel", "padding", "more"), CASES)
def test_a_painter_is_a_transposed_convolution(kernel, padding, more, channels):
    words = {"stride": 2, "padding": padding, "output_padding": more}
    own, other = pair(Painter, nn.ConvTranspose2d, 4, channels, kernel, **words)
    same(own, other, torch.randn(3, 4, 5, 7))


def test_a_painter_without_bias_and_with_another_stride():
    same(*pair(Painter, nn.ConvTranspose2d, 4, 2, 5, stride=2, padding=2, bias=False), torch.randn(2, 4, 3, 3))
    same(*pair(Painter, nn.ConvTranspose2d, 4, 2, 5, padding=2), torch.randn(2, 4, 3, 3))


@pytest.mark.parametrize(("ours", "theirs"), [(Conv2d, nn.Conv2d), (ConvTranspose2d, nn.ConvTranspose2d)])
def test_laid_out_convolutions_are_those_of_torch(ours, theirs):
    own, other = pair(ours, theirs, 4, 6, 3, stride=2, padding=1)
    x = torch.randn(2, 4, 9, 8)
    same(own, other, x)
    assert own(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("words", [{"output_padding": 1}, {"dilation": 2}, {"groups": 2}, {"bias": False}])
def test_a_laid_out_transposed_convolution_takes_all_the_words_of_torchs(words):
    own, other = pair(ConvTranspose2d, nn.ConvTranspose2d, 4, 6, 3, stride=2, padding=1, **words)
    same(own, other, torch.randn(2, 4, 5, 7))
    with torch.autocast("cpu", torch.bfloat16):
        assert own(torch.randn(2, 4, 5, 7)).dtype == torch.bfloat16


def test_a_laid_out_transposed_convolution_is_told_its_size():
    own, other = pair(ConvTranspose2d, nn.ConvTranspose2d, 4, 6, 3, stride=2, padding=1)
    x = torch.randn(2, 4, 5, 7)
    torch.testing.assert_close(own(x, [10, 14]), other(x, [10, 14]))


def test_members_stacked_and_second_derivatives_are_those_of_one():
    own = nn.Sequential(Conv2d(1, 4, 3, padding=1), nn.GELU(), Painter(4, 1, 5, stride=2, padding=2))
    x = torch.randn(3, 2, 1, 6, 6)
    stacked = torch.func.vmap(own)(x)
    for i in range(3):
        torch.testing.assert_close(stacked[i], own(x[i]), rtol=1e-5, atol=1e-6)
    held = x[0].clone().requires_grad_()
    (slope,) = torch.autograd.grad(own(held).square().sum(), held, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), held)
    assert second.abs().sum() > 0
    _, pull = torch.func.vjp(own, x[0])
    assert torch.isfinite(pull(torch.ones_like(own(x[0])))[0]).all()


def test_phases_take_every_tap_once():
    for kernel, padding, _ in CASES:
        taps, _ = phases(kernel, padding)
        assert sorted(tap for row in taps for tap in row if tap < kernel) == list(range(kernel))
