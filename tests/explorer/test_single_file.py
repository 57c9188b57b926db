"""The explorer in one file: what it holds, that its model gives what the run gives, and that it works from file://."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
single_file = pytest.importorskip("zatlas.explorer.single_file")

from tests.explorer.test_page import code, keep, middle, settled, shift_click, shown  # noqa: E402
from zatlas.errors import UsageError  # noqa: E402
from zatlas.explorer.packing import unpack  # noqa: E402
from zatlas.latent.separating import fit_direction  # noqa: E402

pytestmark = pytest.mark.slow

Exported = tuple[Path, Any]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, explored: Any) -> Exported:
    path = tmp_path_factory.mktemp("file") / "atlas.html"
    return path, single_file.write_html(explored.run, path)


def unescaped(content: bytes) -> bytes:
    return re.sub(b"=(.)", lambda found: bytes([found[1][0] - 64]), content, flags=re.DOTALL)


def held(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts and arrays in a file."""
    facts, arrays = {}, {}
    for name in ("first", "rest"):
        content = unescaped(path.read_bytes().split(b'id="%s">' % name.encode())[1].split(b"</script>")[0])
        more, values = unpack(content if name == "first" else gzip.decompress(content))
        facts |= more
        arrays |= values
    return facts, arrays


@pytest.fixture
def opened(browser: Any, exported: Exported) -> Iterator[Callable[..., Any]]:
    contexts, errors, asked = [], [], []

    def go(path: Path | None = None, **settings: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}, offline=True, **settings))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto((path or exported[0]).as_uri())
        page.wait_for_function("() => window.zatlasMaps?.[0]?.tiles.size > 30", timeout=30_000)
        assert page.locator(".starting").count() == 0
        return page

    yield go
    for context in contexts:
        context.close()
    assert not errors, errors
    assert all(url.startswith(("file:", "blob:")) for url in asked), asked


def test_bytes_survive_the_page() -> None:
    content = bytes(range(256)) * 3 + b"</script><!--=="
    there = single_file.escaped(content)
    assert unescaped(there) == content
    assert not set(there) & set(b"\x00\r<")
    assert len(single_file.escaped(np.random.default_rng(0).bytes(100_000))) < 102_500


def test_it_holds_codes_and_labels_and_no_training_images_and_no_path(exported: Exported, explored: Any) -> None:
    path, written = exported
    facts, arrays = held(path)
    rows = explored.run.rows("train")
    assert written.codes == (len(rows), len(rows))
    mean = arrays["low"] + (arrays["quantised"].astype(np.float64) + 32768) * arrays["step"]
    rows = rows[single_file.mixed(len(rows))]
    np.testing.assert_allclose(mean, explored.run.encode(rows).mean, atol=1e-3)
    assert arrays["labels"].tolist() == explored.run.source.read_labels(rows).tolist()
    graphs = {"decoder", "encoder", "score", "density"}
    assert set(arrays) == {"quantised", "low", "step", "labels", "vectors", "film", "lattice", *graphs}
    assert str(explored.run.folder.path.parent) not in str(facts)
    assert "no training images" in facts["about"]["holds"]


def test_training_images_are_held_only_when_asked_for(tmp_path: Path, explored: Any) -> None:
    single_file.write_html(explored.run, tmp_path / "with.html", images=5)
    facts, arrays = held(tmp_path / "with.html")
    assert arrays["examples"].shape == (5, 1, 8, 8)
    assert "5 training images" in facts["about"]["holds"]
    rows = explored.run.spread("train", 70_000)
    row = rows[single_file.mixed(len(rows))][arrays["example_of"][3]]
    assert np.abs(arrays["examples"][3] / 255 - explored.run.source.read(np.array([row]))[0] / 255).max() < 0.01
    with pytest.raises(UsageError, match="with-images"):
        single_file.write_html(explored.run, tmp_path / "x.html", images=-1)


def test_the_page_reads_what_the_map_needs_before_the_model(exported: Exported) -> None:
    content = exported[0].read_bytes()
    script = content.index(b"<script>")
    assert all(content.index(b'id="%s">' % name) < script for name in (b"first", b"worker"))
    assert all(content.index(b'id="%s">' % name) > script for name in (b"wasm", b"rest"))
    assert script < 0.2 * len(content)


def test_stored_images_are_what_the_run_decodes_in_the_cells_of_the_first_view(
    exported: Exported, explored: Any
) -> None:
    facts, arrays = held(exported[0])
    where = facts["lattice"]
    images = np.stack([arrays["lattice"] >> 4, arrays["lattice"] & 15], 1).reshape(-1, 1, 8, 8) / 15
    size, across, up = 2.0 ** where["level"], where["across"], where["up"]
    assert len(images) == across * up + 1
    for k, z in ((0, (0.5, 0.5)), (across + 2, (2.5, 1.5)), (across * up - 1, (across - 0.5, up - 0.5))):
        code = (np.array([where["i"], where["j"]]) + z) * size
        wanted = explored.run.decode(code[None].astype(np.float32)).mean[0]
        np.testing.assert_allclose(images[k], wanted, atol=0.5 / 15 + 1e-5)
    middle = explored.run.decode(np.zeros((1, 2), np.float32)).mean[0]
    np.testing.assert_allclose(images[-1], middle, atol=0.5 / 15 + 1e-5)
    mean = single_file.codes_of(arrays)
    cells = mean / size - [where["i"], where["j"]]
    inside = ((cells > 0) & (cells < [across, up])).all(1)
    assert inside.mean() > 0.98


def test_the_map_is_drawn_with_stored_images_while_the_model_starts(
    browser: Any, exported: Exported, tmp_path: Path
) -> None:
    head = exported[0].read_bytes().split(b'<script type="application/octet-stream" id="wasm">')[0]
    (tmp_path / "cut.html").write_bytes(head)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    unread = "document.addEventListener('DOMContentLoaded', (event) => event.stopImmediatePropagation())"
    page.add_init_script(f"if (location.hash) {unread}")
    page.goto((tmp_path / "cut.html").as_uri() + "#m=both")
    page.wait_for_function("() => window.zatlasMaps?.[0]?.seeds && zatlasMaps[0].session.holding")
    assert page.evaluate("[zatlasMaps[0].tiles.size, zatlasMaps[0].session.codes.n > 1000]") == [0, True]
    assert "The model is starting" in page.inner_text(".maps [role=status]")
    drawn = "new Uint8Array(zatlasMaps[0].under.getContext('2d').getImageData(0, 0, 900, 700).data.buffer)"
    assert page.evaluate(f"{drawn}.some((v, i) => i % 4 === 3 && v > 60)")
    keep(page, "file-start")
    page.goto("about:blank")
    page.goto((tmp_path / "cut.html").as_uri())
    page.wait_for_selector("[role=alert]:has-text('its end is missing')")
    assert page.locator(".starting").count() == 0
    assert page.evaluate("zatlasMaps[0].session.codes.n > 1000")
    page.close()


def test_rounded_graphs_are_within_the_tolerance_and_coarser_ones_are_not_taken(exported: Exported) -> None:
    _, written = exported
    assert set(written.differences) == {"encoder", "decoder", "score", "density"}
    assert max(written.differences.values()) <= 2e-3
    assert 0 < max(written.steps.values()) < 2**7


def test_the_page_decodes_what_the_run_decodes(opened: Callable[..., Any], explored: Any) -> None:
    page = opened()
    z = np.random.default_rng(0).standard_normal((20, 2)).round(3)
    found = page.evaluate("async z => Array.from(await zatlasMaps[0].session.decode(z))", z.tolist())
    expected = explored.run.decode(z.astype(np.float32)).mean
    np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=2e-3)


def explored_nats(explored: Any, image: list[float], z: np.ndarray) -> np.ndarray:
    return unpack(explored.ask("distortion", {"image": image, "z": z.tolist()}))[1]["nats"]


def kl_to_standard(q: Any) -> torch.Tensor:
    return (0.5 * (q.mean**2 + q.variance - 1 - q.variance.log())).sum()


def held_codes(page: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels and codes in the file, in its own order."""
    labels, mean = page.evaluate(
        """async () => { const {arrays} = await zatlasMaps[0].session.ask('codes');
            return [[...arrays.labels.data], [...arrays.mean.data]] }"""
    )
    return np.array(labels), np.reshape(mean, (len(labels), -1))


def test_map_sliders_own_image_and_paths_work_from_a_file(opened: Callable[..., Any], explored: Any) -> None:
    page = opened()
    assert page.evaluate("zatlasMaps[0].session.codes.n") == len(explored.run.rows("train"))
    x, y = middle(page)
    page.mouse.click(x + 50, y - 50)
    settled(page)
    z = code(page)
    expected = np.round(explored.run.decode(z[None].astype(np.float32)).mean[0, 0] * 255)
    assert np.abs(shown(page, ".held figure canvas") - expected).max() <= 2
    nearest = """() => { const s = zatlasMaps[0].session, p = s.placed, wrong = [];
        for (let k = 0; k < 300; k++) {
            const x = 3 * Math.cos(k * k), y = 3 * Math.sin(7 * k), reach = 0.02 + (k % 10) / 50;
            let best = -1, least = reach * reach;
            for (let i = 0; i < s.codes.n; i++) {
                const d = (p[2 * i] - x) ** 2 + (p[2 * i + 1] - y) ** 2;
                if (d < least) { least = d; best = i; }
            }
            if (s.near.at(x, y, reach) !== best) wrong.push([x, y]);
        }
        return wrong }"""
    assert page.evaluate(nearest) == []
    page.locator(".sliders input").first.fill("1")
    settled(page)
    assert np.abs(code(page) - z).max() > 0.01
    page.click("#tab-image")
    box = page.query_selector(".pad").bounding_box()
    page.mouse.move(box["x"] + 84, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 84, box["y"] + 140, steps=8)
    page.mouse.up()
    page.wait_for_selector(".own")
    settled(page)
    own = page.evaluate(
        "(({image, mean, std}) => ({image: [...image], mean: [...mean], std: [...std]}))(zatlasMaps[0].session.own)"
    )
    with torch.no_grad():
        q = explored.run.model.encode(torch.tensor(own["image"]).reshape(1, 1, 8, 8))
    np.testing.assert_allclose(own["mean"], q.mean[0].numpy(), atol=4e-3)
    np.testing.assert_allclose(own["std"], q.stddev[0].numpy(), atol=4e-3)
    shift_click(page, x - 120, y)
    shift_click(page, x + 120, y)
    page.wait_for_selector(".strip canvas")
    assert page.locator(".strip canvas").count() == 9
    page.click(".choice button:has-text('on a sphere')")
    settled(page)
    keep(page, "file")
    draws = np.array(own["mean"]) + np.array(own["std"]) * np.random.default_rng(0).standard_normal((512, 2))
    nats = explored_nats(explored, own["image"], draws)
    bound = page.evaluate("zatlasMaps[0].session.own.facts")
    rate = float(kl_to_standard(q))
    assert bound["rate"] == pytest.approx(rate, rel=0.02)
    assert bound["distortion"] == pytest.approx(float(nats.mean()), abs=float(nats.std() + 0.02 * nats.mean()))
    page.click(".choice button:has-text('where data lie')")
    page.wait_for_selector(".note.warn:has-text('zatlas explore')")


def test_the_file_measures_what_the_server_measures(opened: Callable[..., Any], explored: Any) -> None:
    page = opened()
    x = explored.run.examples(np.array([5]))
    z = np.random.default_rng(0).standard_normal((20, 2)).round(3)
    ask = """async ([q, v]) => { const {facts, arrays} = await zatlasMaps[0].session.ask(q, v);
        return [facts, Object.fromEntries(Object.entries(arrays).map(([k, t]) => [k, [...t.data]]))] }"""
    for question, name, tolerance in (
        ("density", "log_density", 2e-3),
        ("magnification", "magnification", 2e-2),
        ("reencode", "error", 2e-2),
    ):
        _, found = page.evaluate(ask, [question, {"z": z.tolist()}])
        _, wanted = unpack(explored.ask(question, {"z": z.tolist()}))
        np.testing.assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=question)
    values = {"image": x.reshape(-1).tolist(), "z": z.tolist()}
    _, found = page.evaluate(ask, ["distortion", values])
    np.testing.assert_allclose(found["nats"], unpack(explored.ask("distortion", values))[1]["nats"], rtol=5e-3)
    _, found = page.evaluate(ask, ["jacobian", {"z": z[0].tolist()}])
    _, wanted = unpack(explored.ask("jacobian", {"z": z[0].tolist()}))
    of_largest = 2e-3 * max(wanted["values"])  # the page's weights are rounded, and a small one is a difference
    np.testing.assert_allclose(found["values"], wanted["values"], rtol=2e-2, atol=of_largest)
    np.testing.assert_allclose(
        np.abs(np.reshape(found["directions"], (2, 2)) @ wanted["directions"].T), np.eye(2), atol=3e-2
    )
    matrix = np.cov(np.random.default_rng(1).standard_normal((7, 30)))
    values, vectors = page.evaluate(
        """([m, n]) => { const {values, vectors} = zatlasLessons.spectrum(Float64Array.from(m), n);
            return [[...values], vectors.map(v => [...v])] }""",
        [matrix.reshape(-1).tolist(), 7],
    )
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1], rtol=1e-9)
    np.testing.assert_allclose(matrix @ np.transpose(vectors), np.transpose(vectors) * values, atol=1e-9)
    facts, codes = held_codes(page)
    groups = [np.flatnonzero(facts == k).tolist() for k in (0, 1)]
    found, arrays = page.evaluate(
        ask, ["direction", {"without": groups[0], "with": groups[1], "method": "centroid", "name": "one"}]
    )
    wanted = fit_direction(
        np.concatenate([codes[g] for g in groups]),
        np.repeat([False, True], [len(g) for g in groups]),
        method="centroid",
    )
    np.testing.assert_allclose(arrays["vector"], wanted.vector, atol=1e-5)
    assert found["scale"] == pytest.approx(wanted.scale, rel=1e-5)
    assert found["threshold"] == pytest.approx(wanted.threshold, abs=1e-5)
    assert found["accuracy"]["value"] == pytest.approx(wanted.facts["accuracy"]["value"], abs=0.02)
    assert found["angle_degrees"] == pytest.approx(wanted.facts["angle_degrees"], rel=0.5)
    page.click("#tab-directions")
    for group, name in ((0, "From the class"), (1, "To the class")):
        page.select_option(f'[aria-label="{name}"]', str(group))
    page.click("text=Find the direction")
    page.wait_for_selector("text=accuracy, held out")
    page.click("#tab-trust")
    page.wait_for_selector(".badge")
    page.click(".choice button:has-text('magnification')")
    page.wait_for_function("() => zatlasMaps[0].heatmap", timeout=30_000)
    keep(page, "file-trust")
    page.click("#tab-film")
    page.wait_for_selector(".film")
    assert "zatlas explore" in page.inner_text(".panel")
    page.click("#tab-lessons")
    page.wait_for_selector(".formula")
    page.click(".choice button:has-text('β') >> nth=0")
    page.wait_for_selector(".formula .bound")
    keep(page, "file-lessons")


def test_a_conditional_run_decodes_in_every_class_from_a_file(
    opened: Callable[..., Any], explored_conditional: Any, tmp_path: Path
) -> None:
    run = explored_conditional.run
    single_file.write_html(run, tmp_path / "c.html")
    page = opened(tmp_path / "c.html")
    script = "async z => Array.from(await zatlasMaps[0].session.decode(z, 4))"
    found = page.evaluate(script, [[0.5, -0.5]])
    y = np.eye(run.spec.label_dim, dtype=np.float32)[[4]]
    expected = run.decode(np.array([[0.5, -0.5]], np.float32), y).mean
    np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=2e-3)
