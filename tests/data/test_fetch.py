import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from zatlas.data import catalog, fetch, open_source
from zatlas.data.catalog import FILES, PUBLISHED, Named
from zatlas.errors import UsageError, ZatlasError

from .test_idx import idx_bytes


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, rng):
    """A mirror without files, one with damaged files, and a good one; their addresses, and the checksums."""
    sums = {}
    for name in ("empty", "corrupt", "good"):
        (tmp_path / name).mkdir()
    for file in FILES:
        shape = (20, 6, 5) if "images" in file else (20,)
        content = gzip.compress(idx_bytes(rng.integers(0, 3, shape, dtype=np.uint8)))
        sums[file] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        (tmp_path / "good" / file).write_bytes(content)
        (tmp_path / "corrupt" / file).write_bytes(content[:-1] + b"!")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield {name: f"http://127.0.0.1:{httpd.server_port}/{name}/" for name in ("empty", "corrupt", "good")}, sums
        httpd.shutdown()
        thread.join()


@pytest.fixture
def publish(server, monkeypatch):
    mirrors, sums = server

    def add(*names):
        monkeypatch.setitem(
            PUBLISHED, "tiny", Named("tiny", tuple(mirrors[n] for n in names), sums, ("no", "yes", "both"))
        )

    return add


def test_bad_mirrors_are_passed_over(publish, data_folder, capsys):
    publish("empty", "corrupt", "good")
    source = open_source("tiny")
    assert (len(source), source.spec.labels) == (40, ("no", "yes", "both"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("fetching") == 12
    assert sorted(p.name for p in (data_folder / "tiny").iterdir()) == sorted(FILES)
    open_source("tiny")
    assert capsys.readouterr().err == ""


def test_only_what_is_missing_or_damaged_is_fetched(publish, data_folder, capsys):
    publish("good")
    fetch("tiny")
    (data_folder / "tiny" / FILES[0]).unlink()
    damaged = data_folder / "tiny" / FILES[2]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    capsys.readouterr()
    fetch("tiny")
    assert capsys.readouterr().err.count("fetching") == 2
    assert len(open_source("tiny")) == 40


def test_no_good_mirror(publish, data_folder):
    publish("empty", "corrupt")
    with pytest.raises(ZatlasError, match=r"answered 404; .* another checksum.*zatlas data fetch tiny.*ZATLAS_DATA"):
        open_source("tiny")
    assert [p for p in data_folder.rglob("*") if p.is_file()] == []


def test_offline(monkeypatch):
    monkeypatch.setitem(PUBLISHED, "far", Named("far", ("http://127.0.0.1:9/",), dict.fromkeys(FILES, "0" * 32)))
    with pytest.raises(ZatlasError, match=r"could not be reached.*zatlas data fetch far"):
        open_source("far")
    with pytest.raises(UsageError, match="did you mean mnist"):
        fetch("mnits")


def test_the_catalog_says_where_data_is(shared, monkeypatch):
    assert {r["name"]: r["where"] for r in catalog()}["mnist"] == "to fetch"
    monkeypatch.setenv("ZATLAS_DATA", str(shared))
    where = {r["name"]: r["where"] for r in catalog()}
    assert where["digits"] == "built in"
    assert where["mnist"] == where["freyfaces"] == "here"
