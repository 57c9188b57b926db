"""Followed step by step, a transposed convolution is torch's, value by value, and refuses what torch refuses."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d

from zatlas.errors import UsageError
from zatlas.explain import conv_transpose
from zatlas.explain.geometry import Geometry, follow, reached_by, sizes

rng = np.random.default_rng(0)


def by_torch(x, weights, g):
    return conv_transpose2d(
        torch.from_numpy(x)[None, None],
        torch.from_numpy(weights)[None, None],
        stride=g.stride,
        padding=g.padding,
        output_padding=g.output_padding,
        dilation=g.dilation,
    )[0, 0].numpy()


def any_geometries(count):
    """Random ones, rectangles among them; many cannot be."""
    draw = lambda low, high: tuple(int(n) for n in rng.integers(low, high, 2))
    for _ in range(count):
        yield Geometry(draw(1, 6), draw(1, 6), draw(1, 5), draw(0, 4), draw(0, 4), draw(1, 4))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), list(itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2)))
)
def test_every_setting_is_torchs(kernel, stride, padding, dilation):
    for size, output_padding in itertools.product(((1, 1), (4, 4), (2, 5)), range(max(stride, dilation))):
        pairs = [(n, n) for n in (kernel, stride, padding, output_padding, dilation)]
        g = Geometry(size, *pairs)
        x, weights = rng.integers(-9, 9, g.input), rng.integers(-9, 9, g.kernel)
        try:
            made = follow(x, weights, g)
        except UsageError:
            with pytest.raises(RuntimeError):
                by_torch(x, weights, g)
        else:
            np.testing.assert_array_equal(made.output, by_torch(x, weights, g))


def test_it_refuses_what_torch_refuses_and_nothing_else():
    done = refused = 0
    for g in any_geometries(600):
        x, weights = rng.integers(-9, 9, g.input), rng.integers(-9, 9, g.kernel)
        try:
            theirs = by_torch(x, weights, g)
        except RuntimeError:
            refused += 1
            with pytest.raises(UsageError):
                sizes(g)
        else:
            done += 1
            steps = follow(x, weights, g)
            np.testing.assert_array_equal(steps.output, theirs)
            assert {name: array.shape for name, array in steps._asdict().items()} == sizes(g)
    assert min(done, refused) > 100


def test_an_output_cell_sums_the_products_that_reach_it():
    for g in any_geometries(60):
        x, weights = rng.integers(-9, 9, g.input), rng.integers(-9, 9, g.kernel)
        try:
            output = follow(x, weights, g).output
        except UsageError:
            continue
        for cell in np.ndindex(*output.shape):
            assert output[cell] == sum(x[i] * weights[u] for i, u in reached_by(g, cell))


def test_the_convolution_leads_back_to_the_input_whatever_the_output_padding(undrawn):
    for output_padding in range(3):
        view = conv_transpose((4, 6), 5, stride=3, padding=1, output_padding=output_padding)
        back = conv2d(torch.zeros(1, 1, *view["output"].shape), torch.zeros(1, 1, 5, 5), stride=3, padding=1)
        assert back.shape[2:] == (4, 6)


def test_the_lectures_example(undrawn):
    view = conv_transpose(4, 5, stride=3, output_padding=1, padding=1)
    assert [(s["height"], s["width"]) for s in view.facts["steps"]] == [(n, n) for n in (4, 10, 11, 19, 15, 13)]
    told = " ".join(view.sentences)
    assert "(4 − 1)·3 − 2·1 + 1·(5 − 1) + 1 + 1 = 13" in told
    followed = view.facts["followed"]
    assert view["output"][followed["row"] - 1, followed["column"] - 1] == followed["value"]
    assert sum(np.prod([int(n) for n in p.split("·")]) for p in followed["products"]) == followed["value"]
    assert f"{' + '.join(followed['products'])} = {followed['value']}" in told
    np.testing.assert_array_equal(view["output"], by_torch(view["input"], view["kernel"],
                                  Geometry((4, 4), (5, 5), (3, 3), (1, 1), (1, 1))))  # fmt: skip


def test_rows_that_output_padding_adds_beyond_the_padding_are_zero(undrawn):
    view = conv_transpose(4, 3, stride=3, output_padding=2, padding=1)
    assert (view["output"][-1] == 0).all()
    assert (view["output"][-2] != 0).any()
    assert any("The last 1 rows" in sentence for sentence in view.sentences)


@pytest.mark.parametrize(("kernel", "stride", "uneven"), [(4, 2, False), (3, 2, True), (5, 3, True), (3, 1, False)])
def test_a_checkerboard_is_foretold_where_the_overlaps_are_uneven(kernel, stride, uneven, undrawn):
    view = conv_transpose(12, kernel, stride=stride)
    inner = view["overlaps"][kernel:-kernel, kernel:-kernel]
    assert (inner.min() < inner.max()) == uneven
    words = [sentence for sentence in view.sentences if "checkerboard" in sentence]
    assert bool(words) == uneven
    if uneven:
        assert f"{inner.min()} to {inner.max()} products" in words[0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"size": 0}, "input 0 cannot be: give 1 or more"),
        ({"kernel": (3, 0)}, "kernel 3×0 cannot be"),
        ({"stride": 0}, "stride 0 cannot be"),
        ({"dilation": -1}, "dilation -1 cannot be"),
        ({"padding": -1}, "padding -1 cannot be: give 0 or more"),
        ({"output_padding": 2, "stride": 2}, "below 2, the larger of stride and dilation"),
        ({"output_padding": -1}, "output padding -1 cannot be"),
        ({"size": 1, "padding": 3}, "would be -3×-3, which is no size"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(settings, says, undrawn):
    with pytest.raises(UsageError, match=says):
        conv_transpose(**{"size": 4, "kernel": 3, **settings})


@pytest.mark.parametrize(
    ("size", "kernel", "settings"),
    [
        ((2, 3), 3, {"stride": 2}),
        pytest.param(20, 4, {"stride": 2, "padding": 1}, marks=pytest.mark.slow),
        *(
            pytest.param(*odd, marks=pytest.mark.slow)
            for odd in (
                (1, 1, {}),
                (1, 1, {"stride": 3, "output_padding": 2}),
                ((1, 30), (1, 3), {}),
                (3, 3, {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}),
            )
        ),
    ],
)
def test_it_is_drawn_with_every_size_in_its_titles(size, kernel, settings, tmp_path):
    from zatlas.figures import save

    view = conv_transpose(size, kernel, **settings)
    save(view.figure, tmp_path / "drawn.png")
    texts = [text.get_text() for axes in view.figure.axes for text in axes.texts]
    for step in view.facts["steps"]:
        assert any(t.endswith(f"  {step['height']}×{step['width']}") for t in texts)


def test_what_is_too_large_to_draw_still_has_its_sizes(undrawn):
    view = conv_transpose(1000, 4, stride=2, padding=1)
    assert view.figure is None
    assert view.facts["output"] == [2000, 2000]
    assert "larger" in view.sentences[-1]
