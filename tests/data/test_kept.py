"""Decoded images that are kept: found by content, whole or made anew, bounded, never needed."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zatlas.data import folder as folder_module
from zatlas.data import open_source
from zatlas.decoding import kept as kept_module
from zatlas.decoding import pool
from zatlas.decoding.kept import Kept, Pixels, rows_a_piece
from zatlas.errors import ZatlasError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An own cache, in which the smallest set is kept and times of change are trusted at once."""
    monkeypatch.setenv("ZATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(folder_module, "KEPT_FILES", 1)
    monkeypatch.setattr(kept_module, "RACY_NS", -(10**12))
    return tmp_path / "cache/decoded"


@pytest.fixture
def photos(tmp_path, rng):
    """Forty 6x5 images in two folders."""
    for i in range(40):
        path = tmp_path / f"photos/{'ab'[i % 2]}/{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def direct(root):
    """What the files hold, by Pillow alone."""
    return np.stack([np.asarray(Image.open(path)).transpose(2, 0, 1) for path in sorted(root.rglob("*.png"))])


def read(path, **options):
    source = open_source(str(path), **options)
    return source.read(np.arange(len(source)))


def decodings(monkeypatch):
    """How many images are decoded from now on."""
    counted = []
    for module in (pool, folder_module):
        real = module.pixels
        monkeypatch.setattr(module, "pixels", lambda *a, real=real: (counted.append(a[1]), real(*a))[1])
    return counted


def test_the_second_time_nothing_is_decoded_nor_looked_at(photos, monkeypatch):
    expected, first = direct(photos), read(photos)
    np.testing.assert_array_equal(first, expected)
    fingerprint = open_source(str(photos)).fingerprint()
    counted = decodings(monkeypatch)
    monkeypatch.setattr(folder_module, "look_at", None)
    np.testing.assert_array_equal(read(photos), expected)
    source = open_source(str(photos))
    assert source.fingerprint() == fingerprint
    np.testing.assert_array_equal(source.read(np.array([7, 3, 3])), expected[[7, 3, 3]])
    assert not counted


def test_a_copy_elsewhere_and_a_zip_share_the_pixels(photos, tmp_path, cache, monkeypatch):
    expected = read(photos)
    shutil.copytree(photos, tmp_path / "copy")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(photos.rglob("*.png")):
            archive.write(path, path.relative_to(photos))
    counted = decodings(monkeypatch)
    np.testing.assert_array_equal(read(tmp_path / "copy"), expected)
    np.testing.assert_array_equal(read(tmp_path / "photos.zip"), expected)
    assert not counted
    assert len(list(cache.glob("*.pixels"))) == 1


def test_what_is_done_to_images_is_part_of_the_key(photos):
    assert read(photos).shape == (40, 3, 6, 5)
    assert read(photos, resize=4, crop=4).shape == (40, 3, 4, 4)
    assert read(photos, channels=1).shape == (40, 1, 6, 5)
    crop = read(photos, crop=(4, 3))
    np.testing.assert_array_equal(crop, direct(photos)[:, :, 1:5, 1:4])
    assert len(Kept().entries()) == 4


def test_content_decides_where_size_and_time_are_put_back(tmp_path, rng):
    path = tmp_path / "bmp/0.bmp"
    path.parent.mkdir()
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (6, 5), dtype=np.uint8)).save(path.with_name(f"{i}.bmp"))
    x, before = read(path.parent), path.stat()
    Image.fromarray(255 - x[0, 0]).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    np.testing.assert_array_equal(read(path.parent)[0], 255 - x[0])


def test_times_too_near_to_now_are_not_trusted(photos, cache, monkeypatch):
    monkeypatch.setattr(kept_module, "RACY_NS", 2 * 10**9)
    read(photos)
    assert not list(cache.glob("*.seen"))
    assert list(cache.glob("*.pixels"))  # found by content, which is read again


@pytest.mark.parametrize("ending", ["pixels", "json", "seen"])
@pytest.mark.parametrize("how", ["flip", "cut", "empty"])
def test_damage_is_seen_and_mended(photos, cache, ending, how):
    expected = read(photos)
    [path] = cache.glob(f"*.{ending}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flip": bytes(content), "cut": bytes(content[:-5]), "empty": b""}[how])
    np.testing.assert_array_equal(read(photos), expected)
    [path] = cache.glob("*.pixels")
    assert path.read_bytes() == expected.tobytes()  # made anew


def test_damage_under_an_open_source_is_seen(photos, cache):
    expected, source = direct(photos), open_source(str(photos))
    source.read(np.arange(40))
    source = open_source(str(photos))
    source.read(np.arange(0))
    [path] = cache.glob("*.pixels")
    with path.open("rb+") as file:
        file.write(b"\1\2\3")
    np.testing.assert_array_equal(source.read(np.arange(40)), expected)


def test_a_folder_that_changes_while_it_is_read_is_refused(photos):
    source = open_source(str(photos))
    Image.new("RGB", (5, 6), "red").save(photos / "b/03.png")
    with pytest.raises(ZatlasError, match=r"b/03\.png has changed since it was opened"):
        source.read(np.arange(40))
    (photos / "b/03.png").unlink()
    with pytest.raises(ZatlasError, match=r"b/03\.png is no longer there"):
        source.read(np.array([21]))
    assert len(open_source(str(photos))) == 39


@pytest.mark.parametrize("reason", ["full", "late", "denied", "limit"])
def test_without_room_it_goes_on_without(photos, cache, monkeypatch, reason):
    if reason == "full":
        monkeypatch.setattr(kept_module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    elif reason == "late":  # half way
        calls = []

        def perform(members, request, real=pool._perform):
            calls.append(request)
            if request["do"] == "decode" and len(calls) > 2:
                return {"cannot_write": os.strerror(errno.ENOSPC)}
            return real(members, request)

        monkeypatch.setattr(pool, "_perform", perform)
        monkeypatch.setattr(kept_module, "_PIECE_BYTES", 900)
    elif reason == "denied":
        cache.parent.write_text("no folder")
    else:
        monkeypatch.setenv("ZATLAS_CACHE_GB", "0.000001")
    for _ in range(2):
        np.testing.assert_array_equal(read(photos), direct(photos))
    assert not cache.is_dir() or not list(cache.glob("*.p*"))


def test_a_write_that_the_disk_refuses_is_told(photos):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    source = open_source(str(photos))
    with pytest.raises(pool.CannotWrite, match="No space left"):
        pool.decode_into(full, source._members, source.names, source._digests, source._geometry, (3, 6, 5), 10)


def test_the_least_recently_used_go_first(photos, monkeypatch):
    size = 40 * 3 * 6 * 5
    for level, crop in enumerate([6, 5, 4]):
        read(photos, crop=(crop, 5))
        for entry in Kept().entries():
            if entry.used > time.time() - 10:
                os.utime(Kept().folder / f"{entry.key}.json", (1000 + level, 1000 + level))
    assert len(Kept().entries()) == 3
    read(photos, crop=(6, 5))  # the oldest, used again
    monkeypatch.setattr(Kept, "nbytes", lambda self: sum(entry.nbytes for entry in self.entries()))
    monkeypatch.setenv("ZATLAS_CACHE_GB", str((3 * size) / 1e9))
    read(photos, crop=(3, 5))
    heights = {entry.shape[2] for entry in Kept().entries()}
    assert 3 in heights
    assert 6 in heights
    assert 5 not in heights
    assert Kept().nbytes() <= 3 * size


def test_who_comes_second_waits_and_takes_what_the_first_made(photos, monkeypatch):
    expected, counted = direct(photos), decodings(monkeypatch)
    sources = [open_source(str(photos)) for _ in range(3)]
    found = []
    threads = [threading.Thread(target=lambda s=s: found.append(s.read(np.arange(40)))) for s in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x in found:
        np.testing.assert_array_equal(x, expected)
    assert len(counted) == 40


@pytest.mark.slow
def test_two_processes_that_fill_at_once(photos, cache):
    code = f"""
import numpy as np
from zatlas.data import folder
from zatlas.decoding import kept
folder.KEPT_FILES = 1
source = folder.open_images({str(photos)!r} and __import__("pathlib").Path({str(photos)!r}), name="x",
                            geometry=folder.Geometry())
print(source.read(np.arange(40)).tobytes().hex())
"""
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert said == [direct(photos).tobytes().hex()] * 2
    assert len(list(cache.glob("*.pixels"))) == 1


@pytest.mark.slow
def test_processes_decode_what_threads_decode(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "MANY", 1)
    monkeypatch.setattr(pool, "_AT_A_TIME", 10)
    monkeypatch.setattr(pool, "cores", lambda: 2)
    monkeypatch.setattr(kept_module, "_PIECE_BYTES", 900)
    started = []
    real = pool._start
    monkeypatch.setattr(pool, "_start", lambda members: started.append(real(members)) or started[-1])
    monkeypatch.setattr(pool, "_perform", None)  # not here
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(photos.rglob("*.png")):
            archive.write(path, path.relative_to(photos))
    np.testing.assert_array_equal(read(tmp_path / "photos.zip"), direct(photos))
    np.testing.assert_array_equal(read(photos, crop=(4, 5)), direct(photos)[:, :, 1:5])
    assert len(started) == 8
    assert all(worker._process.poll() is not None for worker in started)


def test_the_work_of_a_process_that_dies_is_done_here(photos, monkeypatch):
    monkeypatch.setattr(pool, "MANY", 1)
    monkeypatch.setattr(pool, "_AT_A_TIME", 10)
    monkeypatch.setattr(pool, "cores", lambda: 2)
    monkeypatch.setattr(pool.sys, "executable", "/bin/false" if Path("/bin/false").exists() else "/nowhere")
    np.testing.assert_array_equal(read(photos), direct(photos))


def test_clearing(photos, cache):
    read(photos)
    (cache / "feed.part").write_bytes(b"x" * 5000)  # of a filling that was killed
    assert Kept().clear() > 40 * 90
    assert Kept().nbytes() == 0
    assert not list(cache.glob("*"))
    np.testing.assert_array_equal(read(photos), direct(photos))


def test_pieces_are_verified_when_they_are_read(tmp_path, rng):
    shape = (5000, 3, 10, 10)
    x = rng.integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "x").write_bytes(x.tobytes())
    step = rows_a_piece(shape[1:])
    import zlib

    sums = [zlib.crc32(x[i : i + step].tobytes()) for i in range(0, 5000, step)]
    sums[1] ^= 1
    found = Pixels(tmp_path / "x", shape, sums)
    np.testing.assert_array_equal(found.take(np.arange(10)), x[:10])
    with pytest.raises(kept_module.Damaged):
        found.take(np.array([step]))
    np.testing.assert_array_equal(found.take(np.array([7, 3, 4, 5, 5])), x[[7, 3, 4, 5, 5]])
    os.truncate(tmp_path / "x", 2000)  # of a mapped file, the next reading would end the process
    with pytest.raises(kept_module.Damaged):
        found.take(np.arange(10))


def test_the_command_shows_and_clears(photos, capsys):
    import json

    from zatlas.cli.data import cache as command

    read(photos)
    command(json=True)
    facts = json.loads(capsys.readouterr().out)
    assert [entry["shape"] for entry in facts["entries"]] == [[40, 3, 6, 5]]
    assert facts["entries"][0]["root"] == str(photos)
    command()
    assert "40" in capsys.readouterr().err
    command(clear=True, json=True)
    assert json.loads(capsys.readouterr().out)["bytes"] == 0
