"""The page is one file that loads nothing, runs nothing and believes nothing it is given."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from zatlas import figures
from zatlas.errors import UsageError
from zatlas.report import File, Headline, Picture, Report, Section, Table, render

HOSTILE = "<script>alert('x')</script>\"'&{{ 7 * 7 }}"
VOID = {"meta", "img", "input", "link", "br", "hr"}


class Page(HTMLParser):
    """Tags with their attributes, ids, and whether every tag that opens closes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    images = rng.random((6, 1, 8, 8))
    svg = figures.themed_svg(figures.scatter(rng.normal(size=(50, 2)), rng.integers(0, 3, 50), [HOSTILE, "b", "c"]))
    curves = figures.themed_svg(figures.curves([{"step": i, "loss": 1.0 / (i + 1)} for i in range(9)]))
    return Report(
        title=HOSTILE,
        summary=HOSTILE,
        headlines=[
            Headline("test loss", 135.2371, "nats", 0.31, HOSTILE, HOSTILE),
            Headline(HOSTILE, HOSTILE, HOSTILE),
            Headline("active", 2),
        ],
        sections=[
            Section(
                HOSTILE,
                [HOSTILE, "two"],
                [Picture(svg, HOSTILE, HOSTILE, HOSTILE), Picture(figures.png_uri(figures.tile(images)), HOSTILE)],
                [Table([HOSTILE, "n"], [[HOSTILE, 1.5], ["b", None]], HOSTILE)],
            ),
            Section("Curves", "One paragraph.", [Picture(curves, "curves")]),
        ],
        configuration={"seed": 0, HOSTILE: {HOSTILE: {"deep": HOSTILE}}},
        data={HOSTILE: HOSTILE, "count": 60000},
        provenance={"command": HOSTILE, "seeds": [0, 1]},
        files=[File("config.toml", 812, HOSTILE), File(HOSTILE)],
    )


@pytest.fixture(scope="module")
def html(report):
    return render(report)


def test_nothing_outside_is_referred_to(html):
    for tag, attributes in Page(html).tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "srcset", "action"}:
                assert value.startswith(("#", "data:image/"))
    assert not re.findall(r"url\(\s*[\"']?(?!#)", html)
    assert "@import" not in html
    policy = next(a["content"] for t, a in Page(html).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_hostile_names_are_text(html):
    assert "<script" not in html
    assert Page(html).text.count(HOSTILE) >= 15
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", html, re.S)[0]


def test_every_picture_has_words(html):
    tags = Page(html).tags
    images = [a for t, a in tags if t == "img"]
    assert images
    assert all(a["alt"].strip() and a["loading"] == "lazy" and int(a["width"]) > 0 for a in images)
    assert sum(a.get("role") == "img" and a.get("aria-label") is not None for t, a in tags if t == "div") == 2


def test_ids_are_unique_and_contents_lead_somewhere(html):
    tags = Page(html).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for t, a in tags if t == "a"]
    assert set(links) <= set(ids)
    assert len(links) == 6
    headings = [int(t[1]) for t, _ in tags if re.fullmatch(r"h[1-6]", t)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(headings))
    assert next(a for t, a in tags if t == "html")["lang"] == "en"


def test_numbers_carry_the_digits_that_are_known(html):
    assert '<span class="figure">135.2</span> <span class="error">± 0.3</span>' in html
    assert "60,000" in html
    assert "812 B" in html


def test_the_same_report_gives_the_same_page(report, html):
    assert render(report) == html


def test_an_empty_report_is_a_page():
    page = Page(render(Report(title="Nothing yet")))
    assert "Nothing yet" in page.text


@pytest.mark.parametrize(
    "content",
    [
        "https://example.org/x.png",
        "data:text/html;base64,AAAA",
        'data:image/png;base64,AAAA" onerror="x',
        "<svg><script>1</script></svg>",
        '<svg onload="x()"></svg>',
        '<svg><image href="https://example.org/x.png"/></svg>',
        '<svg><path style="fill:url(https://example.org)"/></svg>',
        "<svg><foreignObject></foreignObject></svg>",
        "<img src=x>",
    ],
)
def test_pictures_that_could_load_or_run_are_refused(content):
    with pytest.raises(UsageError):
        Picture(content, "alt")


def test_a_picture_without_words_is_refused():
    with pytest.raises(UsageError, match="alt text"):
        Picture("<svg></svg>", " ")


def test_a_page_in_a_look_is_that_for_every_reader():
    from zatlas.figures import make_look

    report = Report(title="run", headlines=[Headline("loss", 1.0)])
    plain = render(report)
    assert 'id="theme-dark"' in plain
    dark, paper = (render(report, make_look(theme)) for theme in ("dark", "print"))
    for page in (dark, paper):
        assert "<fieldset" not in page
    assert "@media screen { :root { color-scheme: dark; --ink: #f1f3f5;" in dark  # printed it is light
    assert ":root { color-scheme: light; --ink: #000000;" in paper
    assert "@media screen" not in paper
    large = render(report, make_look(font_size=17))
    assert "html { font-size: 200% }" in large
    hostile = make_look("print")
    assert (
        "</style>"
        not in render(report, replace(hostile, font="</style><b> 'x")).partition("<style>")[2].partition("</style>")[0]
    )


def test_figures_of_a_page_keep_the_colours_that_the_page_replaces():
    from zatlas import figures

    def drawn(**words):
        with figures.look(**words), figures.on_page():
            return figures.themed_svg(figures.rates([3.0, 1.0, 0.2]), alt="rates", prefix="p")

    plain = figures.themed_svg(figures.rates([3.0, 1.0, 0.2]), alt="rates", prefix="p")
    assert drawn(theme="dark") == plain
    assert "var(--ink" in plain
    width = lambda svg: float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
    assert width(drawn(theme="dark", font_size=17)) == pytest.approx(2 * width(plain))
    assert width(drawn(size=(5, 4))) == pytest.approx(5 * 72)
