"""The command that takes a run elsewhere."""

import json

import pytest

from tests.cli.test_words import one_sentence


@pytest.mark.slow
def test_a_hub_folder_there_and_back(zatlas, plain_runs, tmp_path):
    answer = zatlas("export", plain_runs / "vae", "--hub", "hub", "--json")
    assert answer.status == 0, answer.err
    done = json.loads(answer.out)
    assert all((tmp_path / path).is_file() for path in done["hub"]["written"])
    answer = zatlas("import", "hub", "--from", "hub", "--out", "back", "--json")
    assert answer.status == 0, answer.err
    assert json.loads(answer.out)["kind"] == "vae"
    assert zatlas("sample", "back", "-n", 4, "--json").status == 0


@pytest.mark.slow
def test_onnx_and_programs(zatlas, plain_runs, tmp_path):
    answer = zatlas("export", plain_runs / "ae", "--onnx", "onnx", "--torch", "ae.pt2", "--half")
    assert answer.status == 0, answer.err
    assert "onnx  encoder: x → mean" in answer.err
    assert "No prior: an autoencoder has no distribution over codes: fit one with `zatlas prior`" in answer.err
    assert (tmp_path / "ae.py").read_text().strip() in answer.err
    meta = json.loads((tmp_path / "onnx" / "meta.json").read_text())
    assert meta["weights"].startswith("float16")
    assert set(meta["files"]) == {"encoder", "decoder"}
    assert meta["data"]["shape"] == [1, 8, 8]


def test_refusals(zatlas, plain_runs):
    assert "--onnx DIR" in one_sentence(zatlas("export", plain_runs / "vae"), 2)
    assert "--half" in one_sentence(zatlas("export", plain_runs / "vae", "--hub", "hub", "--half"), 2)
    assert "is no run" in one_sentence(zatlas("export", "nowhere", "--hub", "hub"), 2)
