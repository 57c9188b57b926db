"""A part is declared once, and everything that zatlas says of it comes from there."""

import json
import sys
from pathlib import Path

import pytest

from tests import family
from zatlas import parts
from zatlas.cli import completing
from zatlas.cli.app import main
from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.objectives import Objective, distortion
from zatlas.parts import SORTS, Sort
from zatlas.trust import changed, origin
from zatlas.types import Terms


def test_every_part_says_when_to_use_it_and_what_its_settings_are():
    for sort in ("model", "objective", "network", "prior", "posterior", "likelihood", "metric", "walk", "importer"):
        for part in SORTS[sort].all():
            if part.is_foreign or ":" in part.name:
                continue
            assert part.when, (sort, part.name)
            for key in part.keys:
                if sort not in ("metric", "walk", "importer") and key != "size":
                    assert part.settings.model_fields[key].description, (sort, part.name, key)


def test_every_objective_goes_with_a_model():
    assert {name for kind in family.MODELS.values() for name in kind.objectives} >= set(family.OBJECTIVES)


@pytest.mark.parametrize("kind", family.MODELS)
def test_the_defaults_of_a_kind_are_a_configuration_and_give_way_to_words(kind):
    for objective in family.MODELS[kind].objectives:
        keys = {"target_nats": 5.0} if objective == "constrained" else {}
        config = make_config(("here", {"model": {"kind": kind}, "objective": {"kind": objective, **keys}}))
        wanted = family.OBJECTIVES[objective].defaults or family.MODELS[kind].defaults
        for section, values in wanted.items():
            for key, value in values.items():
                assert getattr(getattr(config, section), key) == value
        said = make_config(("here", {"model": {"kind": kind}, "training": {"learning_rate": 0.25}}))
        assert said.training.learning_rate == 0.25
        assert said.objective.kind == family.MODELS[kind].objectives[0]


def told(capsys, monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["zatlas", "models", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    return capsys.readouterr()


def test_the_command_says_when_to_use_what(capsys, monkeypatch):
    said = json.loads(told(capsys, monkeypatch, "--json").out)
    for sort in ("model", "objective", "prior", "posterior", "network", "likelihood", "metric"):
        for part in SORTS[sort].parts():
            assert part.name == "auto" or said[sort][part.name] == part.when
    assert said["settings"]["objective"]["infovae"]["weight"]["default"] == 100.0


def test_the_command_shows_the_settings_of_one(capsys, monkeypatch):
    said = told(capsys, monkeypatch, "infovae").err
    assert "objective.weight" in said
    assert "Zhao et al. 2019" in said


@pytest.mark.parametrize("sort", ["model", "objective", "network", "likelihood", "prior"])
def test_the_shell_offers_the_names_without_torch(sort):
    """Read from the source, they are those that are declared."""
    offered = getattr(completing, f"complete_{sort}")("")
    assert set(offered) >= {part.name for part in SORTS[sort].all() if ":" not in part.name and not part.is_foreign} - {
        "auto"
    }


class Squared(Objective):
    """A loss of its own."""

    def __init__(self, weight: float = 2.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, player, model, batch, step):
        d = distortion(model.infer(batch.x, batch.y), batch.x).mean(0)
        return Terms(self.weight * d, {"distortion": d})


def test_settings_are_read_from_a_constructor():
    part = SORTS["objective"].adopt(Squared)
    assert part.keys == ["weight"]
    assert part.settings(weight=3).weight == 3.0
    config = make_config(("here", {"objective": {"kind": part.name, "weight": 5.0}}))
    assert config.objective.weight == 5.0
    with pytest.raises(UsageError, match=r"there is no objective\.wieght; did you mean objective\.weight"):
        make_config(("here", {"objective": {"kind": part.name, "wieght": 5.0}}))


def test_arguments_are_remembered():
    assert Squared(7.0).made_with == {"weight": 7.0}


SOURCE = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
from zatlas.objectives import Variational
class Mine(Variational):
    "An objective of a file."
"""


def test_a_place_is_imported_only_with_trust(tmp_path, monkeypatch):
    (tmp_path / "mine_of_a_test.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    place = "mine_of_a_test:Mine"
    with pytest.raises(UsageError, match=r"would run code of 'mine_of_a_test'.*--trust"):
        make_config(("a run", {"objective": {"kind": place}}))
    assert not (tmp_path / "ran").exists()
    config = make_config(("a person", {"objective": {"kind": place, "beta": 3.0}}), trust=True)
    assert (tmp_path / "ran").exists()
    assert config.objective.beta == 3.0
    kept = origin(config.part("objective"))
    assert kept["place"] == place
    assert changed(kept) is None
    (tmp_path / "mine_of_a_test.py").write_text(SOURCE + "# more\n")
    assert "has changed since this run was made" in changed(kept)
    assert sys.path.count(str(tmp_path)) == 0


@pytest.mark.parametrize("place", ["os:abort", "subprocess:Popen", "builtins:exec", "sys:exit", "shutil:rmtree"])
@pytest.mark.parametrize("section", ["objective", "prior", "likelihood", "network"])
def test_what_is_imported_already_is_not_called_without_trust(section, place):
    """A run folder of somebody else could name any function of the standard library."""
    import subprocess

    assert subprocess
    with pytest.raises(UsageError, match=r"is no declared part and no torch module|would run code"):
        make_config(("a run", {section: {"kind": place, **({"args": "touch ran"} if "Popen" in place else {})}}))


@pytest.mark.parametrize("place", ["os:abort", "sys:exit", "zatlas.errors:listed"])
def test_a_module_that_is_no_class_of_modules_is_not_called(place):
    from zatlas.networks.foreign import _made

    with pytest.raises(UsageError, match="is no class of torch modules"):
        _made(place)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("not_there_at_all:Mine", "the module not_there_at_all is not installed and is not in this folder"),
        ("zatlas.objectives:Variatonal", "has no Variatonal; did you mean Variational"),
        ("__main__:Mine_of_no_script", "was defined in a script or notebook"),
        ("zatlas.objectives.schedules:__doc__", "is a str: name a class or a function"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_in_a_sentence(place, says):
    with pytest.raises(UsageError, match=says):
        make_config(("here", {"objective": {"kind": place}}), trust=True)


def test_an_entry_point_that_fails_is_told_and_keeps_nobody_from_work(monkeypatch):
    from importlib.metadata import EntryPoint, EntryPoints

    broken = EntryPoint("broken", "not_there_at_all:Part", "zatlas.objectives")
    monkeypatch.setattr(parts, "installed", lambda: EntryPoints([broken]))
    monkeypatch.setattr(parts, "BROKEN", {})
    sort = Sort("objective", "zatlas.objectives")
    assert sort.names() == []
    assert "No module named" in next(iter(parts.BROKEN.values()))


def test_no_list_of_names_stands_elsewhere():
    """The names of objectives and priors occur together in no file but docs of estimators, words and the laws."""
    src = Path(parts.__file__).parents[1]
    names = ("tcvae", "infovae", "constrained", "relativistic")
    listing = [
        p.relative_to(src).as_posix() for p in src.rglob("*.py") if all(f'"{n}"' in p.read_text() for n in names)
    ]
    assert listing == []
