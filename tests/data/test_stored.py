import os

import numpy as np
import pytest

from zatlas.data import open_source
from zatlas.data.stored import StoredRows
from zatlas.errors import ZatlasError


@pytest.fixture
def x(rng):
    return rng.integers(0, 256, (30, 6, 5), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, x):
    """The array in three files of 11, 2 and 17 rows."""
    for name, part in zip("abc", np.split(x, [11, 13]), strict=True):
        np.save(tmp_path / f"{name}.npy", part)
    return tmp_path


def rows_of(folder) -> StoredRows:
    from zatlas.data.shards import stored

    return StoredRows([stored(path) for path in sorted(folder.glob("*.npy"))])


@pytest.mark.parametrize(
    "key",
    [slice(None), slice(3, 20), slice(20, 3, -2), 12, -1, np.array([29, 0, 11, 12, 12]), np.array([-30, -1])],
    ids=str,
)
def test_rows_are_those_of_the_whole_array(folder, x, key):
    rows = rows_of(folder)
    assert (len(rows), rows.shape, rows.ndim, rows.dtype) == (30, x.shape, 3, x.dtype)
    np.testing.assert_array_equal(rows[key], x[key])


def test_no_row_beyond_the_last(folder):
    with pytest.raises(IndexError):
        rows_of(folder)[np.array([30])]


def test_what_changes_is_never_read(folder, x):
    """A file that is cut short while it is mapped would end the process by a bus error instead."""
    rows = rows_of(folder)
    path = folder / "c.npy"
    content, found = path.read_bytes(), path.stat()
    path.write_bytes(content[:200])
    with pytest.raises(ZatlasError, match=r"c\.npy has changed since it was opened"):
        rows[np.arange(30)]
    np.testing.assert_array_equal(rows[np.arange(13)], x[:13])
    path.write_bytes(content)
    with pytest.raises(ZatlasError, match="has changed"):
        rows[np.array([20])]
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    np.testing.assert_array_equal(rows[np.arange(30)], x)
    path.unlink()
    with pytest.raises(ZatlasError, match=r"c\.npy is no longer there"):
        rows[np.array([20])]


def test_cut_short_between_opening_and_reading(folder, monkeypatch):
    monkeypatch.setattr("zatlas.data.stored.state_of", lambda found: rows._files[0].state)
    rows = rows_of(folder)
    path = folder / "a.npy"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ZatlasError, match=r"a\.npy has changed"):
        rows[np.arange(11)]


def test_large_files_are_looked_through_once(folder, monkeypatch):
    """What was found in a pass over all rows is kept under the stamp of the files, and another stamp finds another."""
    import zatlas.data.stored as module
    from zatlas.data import array

    monkeypatch.setattr(module, "KEPT_BYTES", 1)
    for path in folder.iterdir():  # files that have just been written may change again without a new time
        os.utime(path, ns=(1, 1))
    source = open_source(str(folder))
    passes = []
    monkeypatch.setattr(array, "fingerprint", lambda source: passes.append(source) or "anew")
    found = source.fingerprint()
    again = open_source(str(folder))
    assert again.fingerprint() == found == "anew"
    assert len(passes) == 1
    rows = np.load(folder / "b.npy")
    np.save(folder / "b.npy", 255 - rows)
    monkeypatch.undo()
    monkeypatch.setattr(module, "KEPT_BYTES", 1)
    assert open_source(str(folder)).fingerprint() not in ("anew", "")
