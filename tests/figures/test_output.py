"""An inline SVG takes its colours from the page, collides with nothing, and comes out the same every time."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from zatlas import figures
from zatlas.errors import UsageError
from zatlas.figures.style import INK, LINE, MUTED, PAPER

rng = np.random.default_rng(0)
CODES, LABELS = rng.normal(size=(200, 2)), rng.integers(0, 4, 200)


HISTORY = [{"step": i, "loss": 9.0 / (i + 1), "rate": 0.1 * i} for i in range(60)]
SOME = [
    lambda: figures.scatter(CODES, LABELS, ["<script>alert(1)</script>", "b&c", '"d"', "$e$"]),
    lambda: figures.scatter(CODES, CODES[:, 0], label_name="<b>"),
    lambda: figures.curves(HISTORY),
    lambda: figures.rates([1.0, 0.5, 0.0]),
    lambda: figures.grid(CODES[:160].reshape(5, 1, 8, 8) * 0.2, title="</svg><script>"),
]


@pytest.mark.parametrize("index", range(5))
def test_svg_is_deterministic_themed_and_well_formed(index):
    first, second = (figures.themed_svg(SOME[index](), alt='a "picture" <x>') for _ in range(2))
    assert first == second
    root = ET.fromstring(first)
    assert root.get("aria-label") == 'a "picture" <x>'
    bare = re.sub(r"var\(--\w+, [^)]*\)", "", first)
    for colour in (INK, MUTED, LINE, PAPER):
        assert colour.lower() not in bare.lower()
    assert "var(--ink" in first or "var(--muted" in first
    assert not re.search(r"<\?xml|<!DOCTYPE|<metadata|<style|<script|dc:date", first)
    assert "DejaVu" not in re.sub(r"var\(--font[^)]*\)", "", first)
    assert "<text" in first


@pytest.mark.slow
def test_ids_of_two_figures_do_not_clash_and_all_are_found():
    drawn = [figures.themed_svg(figure) for figure in (make() for make in SOME)]
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in drawn]
    assert sum(map(len, ids)) == len(set().union(*ids))
    for svg, own in zip(drawn, ids, strict=True):
        assert set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', svg)) == own
        assert len(re.findall(r'\bid="', svg)) == len(own)
    assert 'id="mine-' in figures.themed_svg(SOME[2](), prefix="mine")


def test_halos_survive_the_svg_and_names_stay_text():
    figure = SOME[0]()
    svg = figures.themed_svg(figure)
    assert svg.count("paint-order:stroke") == 4 + 2  # four names and the two circles of the prior
    assert "&lt;script&gt;" in svg
    assert all(t.get_path_effects() for t in figure.axes[0].texts)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_saved_files_are_deterministic(suffix, tmp_path):
    paths = [figures.save(SOME[2](), tmp_path / f"{i}{suffix}") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf"):
        figures.save(SOME[3](), tmp_path / "figure.jpg")
