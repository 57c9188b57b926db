"""A look changes the page and the text of a figure, and leaves its data."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from zatlas.errors import UsageError
from zatlas.figures import heat, look, make_look, rates, save, scatter
from zatlas.figures.look import INK, LIGHT, THEMES, current


def drawn(**words):
    rng = np.random.default_rng(0)
    with look(**words):
        return scatter(rng.normal(size=(60, 2)), rng.integers(0, 3, 60), names=("a", "b", "c"))


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text().strip()]


def test_a_theme_swaps_the_pages_colours_and_leaves_the_datas(tmp_path):
    plain, dark = drawn(), drawn(theme="dark")
    assert any(to_hex(text.get_color()) == INK for text in texts(plain))
    assert not any(to_hex(text.get_color()) == INK for text in texts(dark))
    assert any(to_hex(text.get_color()) == THEMES["dark"].ink for text in texts(dark))
    assert to_hex(dark.get_facecolor()) == THEMES["dark"].background
    clouds = [[c.get_facecolor() for axes in figure.axes for c in axes.collections] for figure in (plain, dark)]
    assert all(np.array_equal(one, other) for one, other in zip(*clouds, strict=True))
    picture = matplotlib.image.imread(save(dark, tmp_path / "dark.png", background="white"))
    assert to_hex(picture[0, 0]) == THEMES["dark"].background


def test_font_size_is_that_of_ordinary_text_and_the_figure_grows_with_it():
    plain, large = drawn(), drawn(font_size=17)
    sizes = [sorted(text.get_fontsize() for text in texts(figure)) for figure in (plain, large)]
    assert sizes[1] == pytest.approx([2 * size for size in sizes[0]])
    assert large.get_size_inches() == pytest.approx(2 * plain.get_size_inches())
    for one, other in zip(plain.axes, large.axes, strict=True):
        assert one.get_position().bounds == pytest.approx(other.get_position().bounds)


@pytest.mark.parametrize("words", [{}, {"font_size": 12}])
def test_a_size_is_that_of_the_page_and_everything_stays_on_it(words):
    figure = drawn(size=(9, 6), **words)
    assert tuple(figure.get_size_inches()) == (9, 6)
    shown = figure.get_tightbbox()  # inches; of what is drawn
    assert min(shown.x0, shown.y0) > -0.02
    assert shown.x1 < 9.02
    assert shown.y1 < 6.02


def test_what_is_square_stays_square():
    for axes in drawn(size=(12, 5), font_size=10).axes:
        box = axes.get_window_extent()
        if axes.get_aspect() != "auto":
            assert box.width == pytest.approx(box.height, rel=0.01)


def test_text_that_leaves_no_room_is_refused_with_what_fits():
    with pytest.raises(UsageError, match="at most") as refused:
        drawn(size=(4, 3), font_size=30)
    words = str(refused.value)
    fits = float(words.split("at most ")[1].split(",", maxsplit=1)[0])
    drawn(size=(4, 3), font_size=fits)
    wide, high = (float(side) for side in words.split("at least ")[1].rstrip(".").split("x"))
    drawn(size=(wide, high), font_size=30)


def test_a_colour_map_is_that_of_what_is_measured():
    values = np.array([[0.1, 0.9]])
    with look(colour_map="magma"):
        mesh = heat(values, ["row"], ["low", "high"]).axes[0].collections[0]
    assert mesh.cmap(1.0) == matplotlib.colormaps["magma"](1.0)


def test_matplotlibs_own_settings_and_style_sheets_are_themes():
    with matplotlib.rc_context({"text.color": "#112233", "figure.facecolor": "#ffeedd", "font.size": 12.5}):
        asked = make_look("rc")
    assert (asked.ink, asked.background, asked.font_size) == ("#112233", "#ffeedd", 12.5)
    assert make_look("dark_background").background == "#000000"
    assert make_look("ggplot").line != make_look("ggplot").background


def test_the_look_ends_with_its_block_and_without_one_nothing_changes():
    with pytest.raises(ZeroDivisionError), look("dark"):
        raise ZeroDivisionError
    assert current() == LIGHT
    assert rates(np.array([1.0, 2.0])).get_facecolor()[3] == 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"theme": "drak"}, "dark"),
        ({"colour_map": "virids"}, "viridis"),
        ({"font_size": 0.0}, "points"),
        ({"size": (0.0, 5.0)}, "inches"),
        ({"size": (float("nan"), 5.0)}, "inches"),
    ],
)
def test_what_cannot_be_is_refused(words, named):
    with pytest.raises(UsageError, match=named):
        make_look(**words)
