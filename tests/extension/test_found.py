"""How parts are found, and what is never run to find them."""

import sys

import pytest
import typer.main

from zatlas import walks
from zatlas.cli.app import app
from zatlas.data import split
from zatlas.data.source import NEEDED, OPTIONAL, completed
from zatlas.objectives import Variational
from zatlas.parts import SORTS, missing, objective, walk
from zatlas.testing import check_source, small_data
from zatlas.trust import changed, place_of


class Inherited(Variational):
    """An objective that is made as its parent is."""


def test_a_class_that_extends_a_part_has_its_settings_and_needs():
    part, parent = SORTS["objective"].adopt(Inherited), SORTS["objective"].get("elbo")
    assert part.settings is parent.settings
    assert part.needs == parent.needs


def test_a_part_without_an_entry_point_is_called_by_its_place():
    class Local(Variational):
        pass

    Local.__qualname__ = "Local"
    objective("only-here", when="a test")(Local)
    try:
        assert SORTS["objective"].get("only-here").name == place_of(Local) == f"{__name__}:Local"
        assert SORTS["objective"].adopt(Local).name == place_of(Local)
        assert "only-here" in SORTS["objective"].names()
    finally:
        del SORTS["objective"]._known["", "only-here"]
    assert SORTS["objective"].adopt(Variational).name == "elbo"


def test_looking_for_a_changed_source_runs_nothing(tmp_path, monkeypatch):
    package = tmp_path / "unwanted_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('it ran')")
    (package / "inner.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert changed({"place": "unwanted_package.inner:Part", "source_sha256": "0" * 64}) is None
    assert "unwanted_package" not in sys.modules


@pytest.mark.parametrize(
    ("sort", "kind", "said"),
    [("objective", "gone", True), ("objective", "elbo", False), ("objective", "a:B", False), ("format", "gone", False)],
)
def test_what_is_missing_is_named(sort, kind, said):
    sentence = missing({"sort": sort, "kind": kind, "package": "their-parts", "version": "2.1", "place": "a.b:C"})
    assert (sentence is not None) == said
    if sentence:
        assert "objective.kind = 'gone' is of the package their-parts 2.1" in sentence


def test_every_command_on_a_run_takes_trust():
    def walk(command, path=()):
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*path, name))
        yield path, command

    known = dict(walk(typer.main.get_command(app)))
    asking = [path for path, command in known.items() for p in command.params if "RUN" in str(p.metavar)]
    assert len(asking) > 20
    without = [" ".join(path) for path in asking if "trust" not in {p.name for p in known[path].params}]
    assert not without


class Few:
    """A source with nothing but what is needed."""

    def __init__(self):
        self._own = small_data("columns")
        self.name, self.spec = "few", type(self._own.spec)((5,), "real")

    def __len__(self):
        return len(self._own)

    def read(self, rows):
        return self._own.read(rows)

    def fingerprint(self):
        return self._own.fingerprint()


def test_a_source_may_leave_out_what_it_has_not():
    source = completed(Few())
    assert all(getattr(source, word) == value for word, value in OPTIONAL.items())
    assert source.about is not OPTIONAL["about"]
    assert sum(map(len, split(source, validation=0.1, test=0.1, seed=0))) == len(source)
    check_source(Few())


@pytest.mark.parametrize("word", [word for word in NEEDED if word not in ("name", "spec", "__len__")])
def test_a_source_without_what_is_needed_is_told(word):
    class Without(Few):
        pass

    source = object.__new__(type("Without", (), {k: v for k, v in vars(Few).items() if k != word}))
    source.__init__()
    with pytest.raises(AssertionError, match=f"it lacks {word}"):
        check_source(source)


def test_a_walk_that_is_declared_elsewhere_is_a_walk_of_zatlas():
    @walk("only-for-a-test", when="a test")
    def step(run):
        return run

    try:
        assert getattr(walks, "only-for-a-test") is step
    finally:
        del SORTS["walk"]._known["", "only-for-a-test"]
    with pytest.raises(AttributeError, match=r"'zatlas\.walks' has no attribute 'no_such'"):
        walks.no_such  # noqa: B018
