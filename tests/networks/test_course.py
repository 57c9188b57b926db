"""The course networks: the layers that the course describes, and no others."""

import torch
from torch.nn import functional as F

from zatlas.networks import ConvDecoder, ConvEncoder, CourseConvDecoder, CourseConvEncoder
from zatlas.networks.conv import halvings


def sizes(module):
    return sorted(tuple(p.shape) for p in module.parameters())


def test_course_conv_has_the_layers_of_the_course():
    encoder, decoder = CourseConvEncoder(4), CourseConvDecoder(2)
    assert sizes(encoder) == sorted([(32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (16, 3136), (16,), (4, 16), (4,)])
    assert sizes(decoder) == sorted([(3136, 2), (3136,), (64, 32, 3, 3), (32,), (32, 1, 3, 3), (1,)])
    x = torch.rand(5, 1, 28, 28)
    assert encoder(x, None).shape == (5, 4)
    assert decoder(torch.randn(3, 5, 2), None).shape == (3, 5, 1, 28, 28)


def test_the_conditional_form_adds_a_linear_map_of_y():
    encoder, decoder = CourseConvEncoder(4, label_dim=10), CourseConvDecoder(2, label_dim=10)
    x, y = torch.rand(2, 1, 28, 28), torch.eye(10)[:2]
    # the first convolution's output plus W y + b
    h = F.conv2d(x, encoder.first.weight, encoder.first.bias, 2, 1)
    h = h + F.linear(y, encoder.labels.weight, encoder.labels.bias).reshape(2, 32, 14, 14)
    h = F.conv2d(h.relu(), encoder.second.weight, encoder.second.bias, 2, 1).relu().flatten(1)
    expected = encoder.out(encoder.hidden(h).relu())
    torch.testing.assert_close(encoder(x, y), expected)
    # W_z z + W_y y + b: one bias, not two
    assert decoder.labels.bias is None
    z = torch.randn(2, 2)
    start = z @ decoder.first.weight.T + y @ decoder.labels.weight.T + decoder.first.bias
    h = F.conv_transpose2d(start.relu().reshape(2, 64, 7, 7), decoder.second.weight, decoder.second.bias, 2, 1, 1)
    h = F.conv_transpose2d(h.relu(), decoder.third.weight, decoder.third.bias, 2, 1, 1)
    torch.testing.assert_close(decoder(z, y), h)


def test_convolutions_mirror_every_size():
    for height, width in [(28, 20), (105, 105), (37, 50), (8, 8), (5, 64), (64, 64)]:
        channels = (4, 6, 8)
        encoder = ConvEncoder((3, height, width), channels, 16, 5)
        decoder = ConvDecoder(2, channels, 16, (3, height, width))
        assert encoder(torch.rand(2, 3, height, width), None).shape == (2, 5)
        assert decoder(torch.randn(2, 2), None).shape == (2, 3, height, width)


def test_halving_stops_at_four_pixels():
    assert halvings(105, 105, 9) == [(105, 105), (53, 53), (27, 27), (14, 14), (7, 7), (4, 4)]
    assert halvings(4, 100, 9) == [(4, 100)]
