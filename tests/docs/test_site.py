"""The site is built from the package, whole, and needs no network."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest

from tests.test_examples import BRIEF

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what a browser fetches for it."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.fetched = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.anchors |= {a[key] for key in ("id", "name") if a.get(key)}
        if tag == "a" and a.get("href"):
            self.links.append(a["href"])
        elif tag == "link" and a.get("rel") not in ("canonical", "prev", "next", "alternate"):
            self.fetched.append(a.get("href", ""))
        elif tag in ("script", "img", "iframe", "source", "video", "audio") and a.get("src"):
            self.fetched.append(a["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(out)]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.slow
def test_the_site_is_whole_and_needs_no_network(site):
    from zatlas.cli.app import COMMANDS
    from zatlas.parts import SORTS

    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 30
    missing = []
    for path, page in pages.items():
        for link in page.fetched:
            assert not urlsplit(link).netloc, (path, link)
            assert (path.parent / unquote(urlsplit(link).path)).is_file(), (path, link)
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in pages[target].anchors):
                missing.append((path.relative_to(site).as_posix(), link))
    assert not missing
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style

    commands = pages[site / "commands.html"].anchors
    assert {f"zatlas-{name}" for group in COMMANDS.values() for name in group} <= commands
    parts = (site / "parts.html").read_text(encoding="utf-8")
    for sort in ("model", "objective", "network", "prior", "posterior", "likelihood", "metric"):
        for part in SORTS[sort].parts():
            assert part.name == "auto" or part.is_foreign or f">{part.name}</code>" in parts, (sort, part.name)
    extending = re.sub(r"<[^>]+>", "", (site / "extending.html").read_text(encoding="utf-8"))
    assert "class StudentPrior(nn.Module):" in extending  # the file itself, and not the name of one
    assert "zatlas.testing.check_objective" in pages[site / "api" / "zatlas.testing.html"].anchors


@pytest.mark.slow
def test_the_python_of_the_pages_runs(tmp_path):
    """In one process, since torch takes longer to import than most of it to run; each page with names of its own."""
    code = []
    for page in ("index.md", "guide/arrays.md", "guide/walking.md", "extending.md"):
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.S)
        code.append("\n".join(block for block in blocks if "--8<--" not in block))
    assert all(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MPLBACKEND": "agg"}
    words = [sys.executable, "-c", f"{BRIEF}\nfor page in {code!r}:\n    exec(page, {{'__name__': 'page'}})"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "mine" / "run.json").is_file()


def test_the_course_book_is_linked_where_it_was_made_and_named_where_not(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "_build" / "pages.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    monkeypatch.setattr(pages, "BOOK", tmp_path)
    assert "Not made yet" in pages.book()
    assert "href" not in pages.book()
    (tmp_path / "index.html").write_text("")
    (tmp_path / "1_beta_vae.html").write_text("a chapter")
    assert '<a href="course/1_beta_vae.html">' in pages.book()
    assert "Not made yet" not in pages.book()
    site = tmp_path / "site"
    site.mkdir()
    pages.on_post_build(SimpleNamespace(site_dir=site))
    assert (site / "course" / "1_beta_vae.html").read_text() == "a chapter"
