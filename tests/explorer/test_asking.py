"""The page is answered with what the walks and the latent room compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from zatlas.errors import UsageError
from zatlas.explorer.asking import QUESTIONS
from zatlas.explorer.packing import pack, unpack
from zatlas.latent import paths
from zatlas.latent.local import magnification, singular_directions
from zatlas.walks import interpolate


def ask(explored: Any, question: str, **values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return unpack(explored.ask(question, values))


def test_packed_arrays_come_back_with_their_kind_and_shape() -> None:
    arrays = {"a": np.arange(3, dtype=np.uint8), "b": np.ones((2, 2)), "c": np.array([[-5]], np.int64), "d": None}
    facts, back = unpack(pack({"x": float("inf"), "name": "é\u202e"}, arrays))
    assert facts == {"x": None, "name": "é\u202e"}
    assert set(back) == {"a", "b", "c"}
    assert back["a"].tolist() == [0, 1, 2]
    assert back["b"].dtype == np.float32
    assert back["b"].shape == (2, 2)
    assert back["c"].tolist() == [[-5]]


def test_a_decoded_image_is_the_one_that_the_run_decodes(explored: Any) -> None:
    z = np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32)
    _, found = ask(explored, "decode", z=z.tolist())
    np.testing.assert_allclose(found["mean"], explored.run.decode(z).mean, atol=1e-6)


def test_a_conditional_model_decodes_in_the_class_asked_for(explored_conditional: Any) -> None:
    run = explored_conditional.run
    z = [[0.3, -0.2]] * run.spec.label_dim
    _, found = ask(explored_conditional, "decode", z=z, labels=list(range(run.spec.label_dim)))
    expected = run.decode(np.array(z, np.float32), np.eye(run.spec.label_dim, dtype=np.float32)).mean
    np.testing.assert_allclose(found["mean"], expected, atol=1e-6)
    assert np.ptp(found["mean"], axis=0).max() > 0.05  # the classes differ


def test_the_codes_of_the_map_are_the_posterior_means_of_the_training_rows(explored: Any) -> None:
    facts, found = ask(explored, "codes", n=300)
    rows = explored.run.spread("train", 300)
    assert facts["split"] == "train"
    assert found["rows"].tolist() == rows.tolist()
    np.testing.assert_allclose(found["mean"], explored.run.encode(rows).mean, atol=1e-5)
    assert found["labels"].tolist() == explored.run.source.read_labels(rows).tolist()


def test_an_own_image_is_encoded_as_the_row_that_it_is(explored: Any) -> None:
    row = 17
    _, known = ask(explored, "examples", rows=[row])
    facts, found = ask(explored, "encode", image=known["x"].reshape(-1).tolist())
    np.testing.assert_allclose(found["mean"], known["mean"], atol=1e-5)
    np.testing.assert_allclose(found["std"], known["std"], atol=1e-5)
    bound = explored.run.elbo(np.array([row]))
    assert facts["rate"] == pytest.approx(float(bound.rate[0]), rel=1e-4)
    assert facts["loss"] == pytest.approx(facts["rate"] + facts["distortion"])


def test_the_distortion_of_an_image_is_that_of_the_bound(explored: Any) -> None:
    run, row = explored.run, np.array([17])
    x = torch.from_numpy(run.examples(row))
    with torch.no_grad():
        inference = run.model.infer(x, None, samples=6)
    z, given = inference.levels[0].z[:, 0], -inference.px.log_prob(x)[:, 0]
    _, found = ask(explored, "distortion", image=x.reshape(-1).tolist(), z=z.tolist())
    np.testing.assert_allclose(found["nats"], given, rtol=1e-5)
    assert np.ptp(found["nats"]) > 0.01  # the draws differ


def test_a_model_without_a_gaussian_posterior_says_why_it_has_no_lessons(explored: Any, tmp_path: Any) -> None:
    from tests.explorer.conftest import trained
    from zatlas.explorer.asking import open_explored

    assert "lessons" not in explored.abilities
    for kind, word in (("gan", "no encoder"), ("ae", "N(0, I)")):
        other = open_explored(trained(tmp_path / kind, kind, steps=1), device="cpu")
        assert word in other.abilities["lessons"]


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_a_path_is_the_one_that_interpolate_walks(explored: Any, path: str) -> None:
    codes = [[-1.0, 0.5], [1.5, 0.2], [0.1, -2.0]]
    _, found = ask(explored, "interpolate", codes=codes, path=path, n=5)
    view = interpolate(explored.run, codes=np.array(codes), path=path, n=5)  # type: ignore[arg-type]
    np.testing.assert_allclose(found["z"], view["z"], atol=1e-5)
    np.testing.assert_allclose(found["mean"], view["mean"], atol=1e-5)


@pytest.mark.slow
def test_a_path_of_high_density_is_denser_than_the_straight_one(explored: Any) -> None:
    _, codes = ask(explored, "codes", n=200)
    ends = codes["mean"][[0, -1]].tolist()
    _, dense = ask(explored, "interpolate", codes=ends, path="density", n=9)
    _, on = ask(explored, "density", z=dense["z"].tolist())
    _, off = ask(explored, "density", z=paths.linear(np.array(ends), 9).tolist())
    assert on["log_density"].mean() >= off["log_density"].mean() - 1e-6


def test_the_local_directions_are_those_of_the_jacobian(explored: Any) -> None:
    model, z = explored.run.model, np.array([0.4, -0.3], np.float32)
    of = lambda code: model.generate(z=(code[None],)).px.mean[0, 0].reshape(-1)
    jacobian = torch.autograd.functional.jacobian(of, torch.from_numpy(z)).double().numpy()
    _, values, directions = np.linalg.svd(jacobian, full_matrices=False)
    _, found = ask(explored, "jacobian", z=z.tolist())
    np.testing.assert_allclose(found["values"], values, rtol=2e-3)
    assert abs(float(found["directions"][0] @ directions[0])) == pytest.approx(1, abs=1e-3)
    _, at = ask(explored, "magnification", z=[z.tolist()])
    assert at["magnification"][0] == pytest.approx(values[0], rel=2e-3)


def test_magnification_of_many_codes_is_that_of_each(explored_conditional: Any) -> None:
    run = explored_conditional.run
    z = np.random.default_rng(1).standard_normal((3, 2)).astype(np.float32)
    y = np.eye(run.spec.label_dim, dtype=np.float32)[[2, 5, 7]]
    together = magnification(run.model, z, y, device=run.device)
    alone = [singular_directions(run.model, z[i], y[i : i + 1], device=run.device)[0][0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-3)


@pytest.mark.slow
def test_a_direction_between_groups_of_rows_is_found_and_kept_only_when_asked(explored: Any) -> None:
    _, codes = ask(explored, "codes", n=1000)
    groups = {name: codes["rows"][codes["labels"] == k].tolist() for name, k in (("with", 0), ("without", 1))}
    facts, found = ask(explored, "direction", **groups, name="nought")
    assert facts["accuracy"]["value"] > 0.7
    assert found["vector"].shape == (2,)
    assert ask(explored, "directions")[0]["directions"] == []
    ask(explored, "direction", **groups, name="nought", save=True)
    facts, kept = ask(explored, "directions")
    assert [one["name"] for one in facts["directions"]] == ["nought"]
    np.testing.assert_allclose(kept["vectors"][0], found["vector"], atol=1e-6)
    (explored.run.folder.path / "directions" / "nought.json").unlink()


def test_snapshots_are_those_of_the_run_after_a_step(explored: Any) -> None:
    facts, found = ask(explored, "snapshots")
    shots = explored.run.folder.snapshots()
    assert facts["steps"] == [step for step, _ in shots]
    assert found["images"].shape[0] == len(shots)
    later, _ = ask(explored, "snapshots", since=facts["steps"][0])
    assert later["steps"] == facts["steps"][1:]


@pytest.mark.parametrize(
    ("question", "values", "words"),
    [
        ("nothing", {}, "no question"),
        ("decode", {}, "z"),
        ("decode", {"z": [[0.0]]}, "2 numbers"),
        ("decode", {"z": [[float("nan"), 0.0]]}, "z.0.0"),
        ("decode", {"z": [[0.0, 0.0]], "more": 1}, "more"),
        ("encode", {"image": [0.5]}, "64 values"),
        ("encode", {"image": [2.0] * 64}, "image"),
        ("distortion", {"image": [0.5], "z": [[0.0, 0.0]]}, "64 values"),
        ("distortion", {"image": [0.5] * 64, "z": [[0.0]]}, "2 numbers"),
        ("examples", {"rows": [10**6]}, "no row"),
        ("direction", {"with": [1, 2, 3], "without": [3, 4]}, "both groups"),
        ("direction", {"with": [1, 2], "without": [3, 4], "name": "../x"}, "called"),
        ("interpolate", {"codes": [[0, 0], [1, 1]], "path": "other"}, "path"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(explored: Any, question: str, values: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        explored.ask(question, values)
    assert str(refused.value).count("\n") == 0


def test_every_question_has_a_form_that_refuses_other_words(explored: Any) -> None:
    for name in QUESTIONS:
        with pytest.raises(UsageError):
            explored.ask(name, {"unknown": 1})
