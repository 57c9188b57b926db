"""A hub folder is read back to the same outputs, and says nothing of this machine."""

import json
import shutil

import numpy as np
import pytest

import zatlas as toolkit
from zatlas.errors import UsageError, ZatlasError
from zatlas.export import export
from zatlas.export.card import text
from zatlas.importers import import_weights
from zatlas.measure import evaluate_run
from zatlas.parts import SORTS
from zatlas.runs.opened import Run

ROWS = np.arange(0, 40)
NAMES = {"config.json", "model.safetensors", "README.md"}


def outputs(run):
    """Whatever the run can give, of the same rows and draws."""
    found = []
    if run.kind.infers:
        codes = run.encode(ROWS)
        found += [codes.mean, codes.std]
    if not run.kind.point:
        pictures, _ = run.sample(6, seed=3)
        found += [pictures.z, pictures.mean, pictures.draw]
    else:
        found.append(run.decode(np.ones((3, run.latent_dim), np.float32)).mean)
    return found


def same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def plain(monkeypatch):
    """Without pictures, whose drawing takes most of the time."""
    monkeypatch.setattr("zatlas.export.hub.pictures", lambda run: [])


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind in ("vae", "gan") else pytest.mark.slow) for kind in SORTS["model"].names()],
)
def test_a_hub_folder_is_read_back(kind, run, tmp_path, plain):
    trained = run(kind)
    export(trained, hub=tmp_path / "hub")
    wanted = outputs(trained)
    same(outputs(toolkit.open(tmp_path / "hub", device="cpu")), wanted)
    imported = import_weights(tmp_path / "hub", "hub", out=tmp_path / "run")
    same(outputs(imported), wanted)
    same(outputs(Run(tmp_path / "run", device="cpu")), wanted)
    x = np.random.default_rng(0).integers(0, 256, (5, 8, 8)).astype(np.uint8)
    loaded, first = (toolkit.load(folder, device="cpu") for folder in (tmp_path / "hub", trained.folder.path))
    assert type(loaded) is type(first)
    if trained.kind.infers:
        y = [str(i) for i in range(5)] if trained.kind.conditional else None
        y = np.arange(5) if trained.kind.conditional else y
        np.testing.assert_array_equal(loaded.transform(x, y), first.transform(x, y))


def test_an_imported_run_is_trained_further(run, tmp_path, plain):
    from zatlas.runs.training import resume

    export(run("gan"), hub=tmp_path / "hub")  # which has an average of its weights
    import_weights(tmp_path / "hub", "hub", out=tmp_path / "run")
    assert resume(tmp_path / "run", changes={"steps": 5}).step == 5


@pytest.mark.slow
def test_figures_priors_and_directions_go_with_it(run, tmp_path):
    trained = run("ae")
    folder = tmp_path / "ae"
    shutil.copytree(trained.folder.path, folder)
    trained = Run(folder, device="cpu")
    measured = evaluate_run(trained, metrics=["reconstruction"])
    trained.fit_prior("mixture", rows=200)
    export(trained, hub=tmp_path / "hub")
    assert {path.name for path in (tmp_path / "hub").iterdir()} == NAMES | {
        *("evaluation.json", "priors", "samples.png", "latent.png"),
    }
    page = (tmp_path / "hub" / "README.md").read_text()
    assert "![" in page
    assert "PSNR" in page
    assert str(tmp_path) not in page + (tmp_path / "hub" / "evaluation.json").read_text()
    wanted = trained.sample(5, seed=1)[0].mean
    np.testing.assert_array_equal(Run(tmp_path / "hub", device="cpu").sample(5, seed=1)[0].mean, wanted)
    imported = import_weights(tmp_path / "hub", "hub", out=tmp_path / "run")
    np.testing.assert_array_equal(imported.sample(5, seed=1)[0].mean, wanted)
    kept = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert kept["figures"] == json.loads(json.dumps(measured["figures"]))


HOSTILE = "<script>alert(1)</script>|](http://x) `rm`\n---"


def test_names_from_data_are_text_and_places_are_left_out(tmp_path, plain):
    labels = np.array([HOSTILE, "plain"])[np.arange(60) % 2]
    np.savez(tmp_path / "secret.npz", x=np.random.default_rng(0).integers(0, 256, (60, 6, 6), dtype=np.uint8), y=labels)
    words = {"size": "xs", "steps": 2, "verbose": False, "model": "cvae"}
    trained = toolkit.train(str(tmp_path / "secret.npz"), out=tmp_path / "run", **words)
    export(trained, hub=tmp_path / "hub")
    page, about = ((tmp_path / "hub" / name).read_text() for name in ("README.md", "config.json"))
    assert "<script>" not in page
    assert "](http" not in page.replace(r"\](", "")
    assert "\n---\n" not in page[10:].replace("\n---\n\n# ", "", 1)
    assert str(tmp_path) not in page + about
    assert json.loads(about)["data"]["labels"] == trained.folder.record["data"]["spec"]["labels"]
    opened = Run(tmp_path / "hub", device="cpu")
    assert not opened.has_data
    again = import_weights(tmp_path / "hub", "hub", out=tmp_path / "again", data=str(tmp_path / "secret.npz"))
    np.testing.assert_array_equal(again.encode(ROWS).mean, trained.encode(ROWS).mean)


def test_text_is_text():
    assert text("a*b_c <i> [x](y) | \x1b") == r"a\*b\_c &lt;i&gt; \[x\](y) &#124; \\x1b"


def test_a_hub_folder_is_not_written(run, tmp_path, plain):
    export(run("vae"), hub=tmp_path / "hub")
    opened = Run(tmp_path / "hub", device="cpu")
    with pytest.raises(UsageError, match="is read and not written: make a run of it with `zatlas import"):
        opened.test()


def test_damage_is_named(run, tmp_path, plain):
    export(run("vae"), hub=tmp_path / "hub")
    hub = tmp_path / "hub"
    content = bytearray((hub / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (hub / "model.safetensors").write_bytes(content)
    with pytest.raises(ZatlasError, match=r"the weights .*model\.safetensors are damaged"):
        Run(hub, device="cpu")
    with pytest.raises(ZatlasError, match="are damaged"):
        import_weights(hub, "hub", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    about = json.loads((hub / "config.json").read_text())
    for change, says in (
        ({"format": "another"}, "is not of a model that zatlas exported"),
        ({"schema": 9}, "has schema 9"),
        ({"run": {}}, "is damaged: entries are missing"),
        ({"trainer": []}, "is damaged: entries are missing"),
        ({"trainer": {}}, "does not say its step"),
        ({"config": {"model": {"kind": "veil"}}}, "veil"),
    ):
        (hub / "config.json").write_text(json.dumps(about | change))
        with pytest.raises(ZatlasError, match=says):
            Run(hub, device="cpu")
    (hub / "model.safetensors").unlink()
    (hub / "config.json").write_text(json.dumps(about))
    with pytest.raises(ZatlasError, match=r"model\.safetensors cannot be read"):
        Run(hub, device="cpu")


def test_words_that_cannot_be(run, tmp_path, plain):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds mine\.txt\): give --hub another folder"):
        export(run("vae"), hub=tmp_path)
    with pytest.raises(UsageError, match="--from hub reads a folder"):
        import_weights(tmp_path / "mine.txt", "hub")
    with pytest.raises(UsageError, match="is no hub folder"):
        import_weights(tmp_path, "hub")
