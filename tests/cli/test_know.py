"""Directions, centroids and labels from the command line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_words import one_sentence


@pytest.fixture
def run(plain_runs, tmp_path):
    return shutil.copytree(plain_runs / "vae", tmp_path / "run")


@pytest.mark.slow
def test_a_direction_is_found_listed_and_applied(zatlas, run):
    listed = zatlas("direction", "list", run)
    assert (listed.status, listed.out) == (0, "")
    assert "has no directions yet" in listed.err
    found = zatlas("direction", "attribute", run, "--with", "3,8", "--without", "1", "--name", "round", "--json")
    assert found.status == 0, found.err
    facts = json.loads(found.out)
    assert facts["with"] == "3,8"
    assert 0 <= facts["accuracy"]["value"] <= 1
    assert len(facts["vector"]) == 2
    for path in facts["files"]:
        assert (run / "pictures").as_posix() in path
    more = zatlas("direction", "attribute", run, "--with", "0", "--orthogonal-to", "round", "--method", "centroid")
    assert more.status == 0
    assert "angle between bootstrap directions" in more.err
    listed = zatlas("direction", "list", run)
    assert "round" in listed.err
    records = json.loads(zatlas("direction", "list", run, "--json").out)["directions"]
    assert [record["name"] for record in records] == ["0", "round"]
    assert abs(np.dot(*(record["vector"] for record in records))) < 1e-12
    applied = zatlas("direction", "apply", run, "round", "--rows", "4,9", "--strengths", "-1,0,1", "-o", "moved.gif")
    assert applied.status == 0, applied.err
    with Image.open("moved.gif") as file:
        assert file.format == "GIF"
    assert np.load("moved.npz")["mean"].shape == (2, 3, 1, 8, 8)


@pytest.mark.slow
def test_centroids_relabelling_and_transfer_write_pictures(zatlas, run):
    for words, name in (
        (("direction", "centroid", run, "--label", "7"), "centroid"),
        (("relabel", run, "--to", "3,8"), "relabel"),
        (("transfer", run, "--content", "1,2", "--style", "3,4,5"), "transfer"),
    ):
        answer = zatlas(*words)
        assert answer.status == 0, answer.err
        assert (run / "pictures" / f"{name}.png").is_file()
        assert (run / "pictures" / f"{name}.npz").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("direction", "centroid", "RUN", "--label", "sevn"), "digits has no class 'sevn'"),
        (("direction", "attribute", "RUN", "--with", "rows:1"), "the group with the attribute has one example"),
        (("direction", "attribute", "RUN", "--with", "3", "--method", "lda"), "there is no method 'lda'; known are"),
        (("direction", "attribute", "RUN", "--with", "3", "--name", "a b"), "a direction cannot be called 'a b'"),
        (("direction", "attribute", "RUN", "--with", "3", "--strengths", "a"), "--strengths wants numbers such as"),
        (("direction", "apply", "RUN", "smile"), "has no direction 'smile'"),
        (("direction", "list", "none"), "none is no run"),
        (("relabel", "RUN", "--rows", "x"), "--rows wants some numbers such as 1,2, and 'x' is not that"),
        (("relabel", "RUN", "--to", "11"), "there is no class '11'"),
        (("transfer", "RUN", "--style", "99999"), "there is no row 99999"),
    ],
)
def test_wrong_words(zatlas, run, words, sentence):
    answer = zatlas(*(run if word == "RUN" else word for word in words))
    assert sentence in one_sentence(answer, 2)
