"""Whatever a person gives as data is used, with finite numbers, or refused in a sentence that names it."""

import json
import signal

import numpy as np
import pytest

from zatlas.data import describe, located, open_source, split
from zatlas.errors import ZatlasError

from . import making
from .harness import Hang, choose, fault, limited, mutate, run

FEW = 30  # cases of each kind in a quick run
FREE_BYTES = 256 << 20


@pytest.fixture(autouse=True)
def little_memory(monkeypatch, tmp_path):
    """As if little were free, so that a claim on more is refused before the limit of the harness is met."""
    monkeypatch.setattr("zatlas.data.content.free_bytes", lambda device: FREE_BYTES)
    monkeypatch.setenv("ZATLAS_DATA", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)


def use(given):
    """What `zatlas data info` and the start of a training do with data."""
    text, options = given
    if "labels" in options:
        located(options["labels"])
    located(text)
    source = open_source(text, **options)
    n = len(source)
    x = source.read(np.arange(min(n, 5))[::-1])
    assert x.shape == (min(n, 5), *source.spec.shape)
    assert x.dtype == (np.uint8 if source.spec.values == "uint8" else np.float32)
    assert np.isfinite(x).all()
    labels = source.read_labels(np.arange(n))
    if source.spec.label_kind == "class":
        assert labels.shape == (n,)
        assert 0 <= labels.min() <= labels.max() < source.spec.label_dim
    elif labels is not None:
        assert labels.shape == (n, source.spec.label_dim)
        assert np.isfinite(labels).all()
    if source.factors is not None:
        assert source.factors.shape == (n, len(source.factor_names))
        assert np.isfinite(source.factors).all()
    json.dumps(describe(source), allow_nan=False)
    json.dumps(source.spec.to_json(), ensure_ascii=False).encode()  # as a run records it
    if n > 2:
        split(source, validation=0.1, test=0.1, seed=0)


def _options(chance, folder):
    options = {}
    if chance.random() < 0.15:
        side = choose(chance, (1, 3, 10**5, 10**26, 0, -1, (2, 3), (10**9, 1)))
        options[choose(chance, ("resize", "crop"))] = side
    if chance.random() < 0.05:
        options["channels"] = choose(chance, (1, 3, 2))
    return options


def _file(suffix, make):
    def case(chance, folder):
        path = folder / f"case{suffix}"
        path.write_bytes(make(chance))
        return str(path), _options(chance, folder)

    return case


def _headers(chance):
    return making.npy(chance)


def _values(chance):
    return making.npy(chance, making.array(chance))


def _mutated(chance):
    return mutate(chance, making.npy(chance, making.array(chance, 10, 2)))


def _images(chance, folder):
    path = folder / "case.zip"
    names = [choose(chance, ("a/", "b/", "../", "/", "")) + f"{i}.png" for i in range(int(chance.integers(0, 6)))]
    path.write_bytes(making.zipped(chance, [(name, making.png(chance)) for name in names]))
    return str(path), _options(chance, folder)


def _idx_folder(chance, folder):
    path = folder / "case"
    path.mkdir()
    for part in ("train", "t10k"):
        for what, dims in (("images-idx3", 3), ("labels-idx1", 1)):
            if chance.random() < 0.95:
                (path / f"{part}-{what}-ubyte").write_bytes(making.idx(chance, dims, rows=7))
    return str(path), _options(chance, folder)


def _labels(chance, folder):
    path = folder / f"case-labels{choose(chance, ('.txt', '.csv', '.npy', '-idx1-ubyte', ''))}"
    if path.suffix == ".npy":
        path.write_bytes(making.npy(chance, making.array(chance, 10, int(chance.integers(0, 2)))))
    else:
        path.write_bytes(making.label_text(chance, 10 if chance.random() < 0.8 else 9))
    data = folder / "case.npy"
    data.write_bytes(making.npy(chance, chance.integers(0, 256, (10, 4, 4), dtype=np.uint8)))
    return str(data), {"labels": str(path) if chance.random() < 0.9 else making.odd_name(chance, folder)}


def _oddities(chance, folder):
    name = "case" + choose(chance, (".npz", ".npy", ".zip", ".gz", "", "-labels.txt", ".png"))
    path = making.oddity(chance, folder / name)
    if name.endswith(".txt"):
        data = folder / "case.npy"
        np.save(data, np.arange(160).reshape(10, 16))
        return str(data), {"labels": str(path)}
    return str(path), {}


def _names(chance, folder):
    return making.odd_name(chance, folder), _options(chance, folder)


KINDS = {
    "headers": _file(".npy", _headers),
    "values": _file(".npy", _values),
    "mutated": _file(".npy", _mutated),
    "npz": _file(".npz", making.npz),
    "idx": _file("-idx3-ubyte", making.idx),
    "idx-folder": _idx_folder,
    "images": _images,
    "labels": _labels,
    "oddities": _oddities,
    "names": _names,
}


def _named(given):
    """The file, or the option that is wrong."""
    text, options = given
    return ("case", *options, *(str(value)[:20] for value in options.values())) if "case" in text else ()


@pytest.mark.parametrize("kind", KINDS)
def test_data(kind):
    counts = run(KINDS[kind], use, seed=list(KINDS).index(kind), default=FEW, named=_named)
    print(f"{kind}: {dict(counts)}")
    assert set(counts) <= {"used", "refused"}


def test_the_harness_sees_what_is_wrong():
    """A crash, a hang, a warning, a refusal of two lines, and one that names nothing."""

    def door(how):
        match how:
            case "crash":
                raise KeyError("x")
            case "warn":
                np.float16(1e4) * np.float16(1e4)
            case "memory":
                np.ones(1 << 32, np.uint8)
            case "no sentence":
                raise ZatlasError("it is case")
            case "nameless":
                raise ZatlasError("it is wrong.")

    for how in ("crash", "warn", "memory", "no sentence", "nameless"):
        assert fault(door, how, "case")[0], how
    assert fault(door, "fine", "case") == (None, "used")
    with pytest.raises(Hang), limited(0.05):
        signal.pause()
