"""The page in a real browser, over HTTP: what a reader sees after what a reader does."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.explorer.conftest import trained
from zatlas.explorer.asking import open_explored

pytestmark = pytest.mark.slow

PICTURES = os.environ.get("ZATLAS_PICTURES")  # a folder that screenshots go to
AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], explored: Any) -> str:
    return serve(explored)


@pytest.fixture(scope="module")
def wide_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Eight units, of which beta leaves some dead."""
    from zatlas.config import make_config
    from zatlas.runs.training import train

    values = {
        "data": {"source": "digits"},
        "model": {"latent_dim": 8, "network": "mlp", "size": "xs"},
        "objective": {"beta": 2.0},
        "training": {"steps": 700, "learning_rate": 3e-3, "precision": "fp32", "validations": 2},
    }
    out = tmp_path_factory.mktemp("explorer") / "wide"
    train(make_config(("test", values)), out=out)
    return open_explored(out, device="cpu")


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address; whatever the page throws fails the test."""
    contexts, errors = [], []

    def go(address: str, **settings: Any) -> Any:
        settings = {"viewport": WIDE, "accept_downloads": True, **settings}
        contexts.append(browser.new_context(**settings))
        contexts[-1].grant_permissions(["clipboard-read", "clipboard-write"])
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector(".map", timeout=20_000)
        page.wait_for_function("() => zatlasMaps[0]?.tiles.size > 30", timeout=20_000)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not errors, errors


def keep(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


def code(page: Any, which: int = 0) -> np.ndarray:
    """The code that is held."""
    return np.array(page.evaluate(f"Array.from(zatlasMaps[{which}].session.base)"))


def shown(page: Any, selector: str) -> np.ndarray:
    """The pixels of a canvas, red alone."""
    script = """canvas => { const c = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                return [canvas.height, canvas.width, ...c.data.filter((_, i) => i % 4 === 0)] }"""
    height, width, *values = page.eval_on_selector(selector, script)
    return np.array(values).reshape(height, width)


def size_of(path: Any) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def middle(page: Any, selector: str = ".canvas") -> tuple[float, float]:
    box = page.query_selector(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def settled(page: Any) -> None:
    page.wait_for_timeout(250)


def shift_click(page: Any, x: float, y: float) -> None:
    page.keyboard.down("Shift")
    page.mouse.click(x, y)
    page.keyboard.up("Shift")
    settled(page)


def test_the_map_shows_codes_over_what_they_decode_to(opened: Any, address: str, explored: Any) -> None:
    page = opened(address)
    assert page.evaluate("zatlasMaps[0].session.codes.n") == len(explored.run.rows("train"))
    for layers, other in (("Codes", "images"), ("Images", "points")):
        page.click(f".choice button:has-text('{layers}')")
        settled(page)
        drawn = page.evaluate(
            """() => Object.fromEntries(
                [["images", zatlasMaps[0].under], ["points", zatlasMaps[0].dots]].map(([k, c]) => {
                const copy = document.createElement("canvas"); copy.width = c.width; copy.height = c.height;
                const d = copy.getContext("2d"); d.drawImage(c, 0, 0);
                return [k, d.getImageData(0, 0, c.width, c.height).data.some(v => v)] }))"""
        )
        assert not drawn[other]
        assert drawn["points" if other == "images" else "images"]
    page.click(".choice button:has-text('Both')")
    settled(page)
    keep(page, "map")


def test_hovering_decodes_what_would_be_there_and_a_click_holds_it(opened: Any, address: str, explored: Any) -> None:
    page = opened(address)
    x, y = middle(page)
    page.click(".choice button:has-text('Images')")
    page.mouse.move(x + 130, y - 90)
    settled(page)
    box = page.query_selector(".canvas").bounding_box()
    place = page.evaluate(f"zatlasMaps[0].toPlane({x + 130 - box['x']}, {y - 90 - box['y']})")
    z = np.array([place], np.float32)
    expected = np.round(explored.run.decode(z).mean[0, 0] * 255)
    assert np.abs(shown(page, ".held figure:nth-of-type(2) canvas") - expected).max() <= 1
    page.mouse.click(x + 130, y - 90)
    settled(page)
    np.testing.assert_allclose(code(page), z[0], atol=1e-4)
    assert np.abs(shown(page, ".held figure:nth-of-type(1) canvas") - expected).max() <= 1


def test_pan_and_zoom_keep_the_place_under_the_pointer(opened: Any, address: str) -> None:
    page = opened(address)
    x, _ = middle(page)
    at = f"zatlasMaps[0].toPlane({x + 100} - zatlasMaps[0].box.getBoundingClientRect().left, 300)"
    page.mouse.move(x + 100, 300 + page.query_selector(".canvas").bounding_box()["y"])
    before = page.evaluate(at)
    page.mouse.wheel(0, -600)
    settled(page)
    np.testing.assert_allclose(page.evaluate(at), before, atol=0.01)  # the pointer stands on whole pixels
    scale = page.evaluate("zatlasMaps[0].view.scale")
    page.mouse.down()
    page.mouse.move(x + 180, 300, steps=5)
    page.mouse.up()
    assert page.evaluate("zatlasMaps[0].view.scale") == scale
    assert abs(page.evaluate(at)[0] - before[0]) > 0.01
    page.click("text=Fit")
    settled(page)
    assert page.evaluate("zatlasMaps[0].view.scale") < scale


def test_units_are_sliders_by_rate_and_dead_ones_are_folded_away(
    opened: Any, serve: Callable[..., str], wide_run: Any
) -> None:
    page = opened(serve(wide_run))
    page.wait_for_function("() => zatlasMaps[0].session.units", timeout=20_000)
    settled(page)
    rates = [unit["rate_nats"] for unit in page.evaluate("zatlasMaps[0].session.units")]
    assert rates == sorted(rates, reverse=True)
    dead = page.evaluate("zatlasMaps[0].session.units.filter(u => u.dead).length")
    assert dead > 0
    assert page.locator(".fold .slider").count() == dead
    assert not page.locator(".fold .slider").first.is_visible()
    first = page.locator(".sliders input").first
    unit = page.evaluate("zatlasMaps[0].session.units[0].unit") - 1
    first.fill("1.5")
    settled(page)
    assert abs(code(page)[unit] - 1.5) < 0.02
    page.locator(".slider .icon").first.click()  # locked
    page.click("text=To zero")
    settled(page)
    held = code(page)
    assert abs(held[unit] - 1.5) < 0.02
    assert np.abs(np.delete(held, unit)).max() == 0
    page.click("text=Measure here")
    page.wait_for_selector("text=Measure again here")
    keep(page, "units")


def test_planes_of_two_units_of_the_widest_two_and_through_three_stops(
    opened: Any, serve: Callable[..., str], wide_run: Any
) -> None:
    page = opened(serve(wide_run))
    assert page.evaluate("zatlasMaps[0].session.choice.kind") == "pca"
    page.select_option("select >> nth=0", "units")
    settled(page)
    page.select_option(".pick:has-text('Across') select", "3")
    settled(page)
    assert page.evaluate("Array.from(zatlasMaps[0].session.plane.e1)") == [0, 0, 0, 1, 0, 0, 0, 0]
    x, y = middle(page)
    for dx, dy in ((-100, 0), (80, 50), (10, -120)):
        shift_click(page, x + dx, y + dy)
    page.click("text=Show the plane through the three")
    settled(page)
    flat = page.evaluate(
        """(() => { const s = zatlasMaps[0].session;
            return s.stops.map(p => { const [a, b] = s.spot(p.z);
              const {origin, e1, e2} = s.plane;
              return Math.hypot(...p.z.map((v, d) => v - origin[d] - a * e1[d] - b * e2[d])) }) })()"""
    )
    assert max(flat) < 1e-5


def test_a_drawn_image_is_encoded_where_it_falls(opened: Any, address: str) -> None:
    page = opened(address)
    page.click("#tab-image")
    box = page.query_selector(".pad").bounding_box()
    page.mouse.move(box["x"] + 84, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 84, box["y"] + 140, steps=8)
    page.mouse.up()
    page.wait_for_selector(".own")
    settled(page)
    own = page.evaluate(
        "(({mean, std, facts}) => ({mean: [...mean], std: [...std], facts}))(zatlasMaps[0].session.own)"
    )
    np.testing.assert_allclose(code(page), own["mean"], atol=1e-6)
    assert min(own["std"]) > 0
    assert "nats" in page.inner_text(".own dl")
    keep(page, "image")


def test_a_dropped_file_is_encoded_as_the_server_encodes_it(opened: Any, address: str, explored: Any) -> None:
    page = opened(address)
    page.click("#tab-image")
    x = explored.run.source.read(np.array([5]))[0, 0]
    file = BytesIO()
    Image.fromarray(x).save(file, "PNG")
    page.set_input_files("input[type=file]", {"name": "<b>.png", "mimeType": "image/png", "buffer": file.getvalue()})
    page.wait_for_selector(".own")
    mean = page.evaluate("[...zatlasMaps[0].session.own.mean]")
    np.testing.assert_allclose(mean, explored.run.encode(np.array([5])).mean[0], atol=0.02)
    page.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": b"no image"})
    page.wait_for_selector(".note.warn:has-text('no image')")


def test_a_path_through_stops_is_played_and_saved(opened: Any, address: str) -> None:
    page = opened(address)
    x, y = middle(page)
    shift_click(page, x - 150, y)
    shift_click(page, x + 150, y + 40)
    page.wait_for_selector(".strip canvas")
    assert page.locator(".strip canvas").count() == 9
    for kind in ("on a sphere", "where data lie"):
        page.click(f".choice button:has-text('{kind}')")
        page.wait_for_function(
            f"() => zatlasMaps[0].session.path?.kind === '{'spherical' if 'sphere' in kind else 'density'}'",
            timeout=20_000,
        )
    keep(page, "paths")
    with page.expect_download() as download:
        page.click("text=Save CSV")
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "z1,z2"
    assert len(lines) == 10
    with page.expect_download() as download:
        page.click(".player >> text=Save PNG")
    assert size_of(download.value.path()) == (9 * 112, 112)
    page.click("text=Play")
    page.wait_for_timeout(400)
    assert page.evaluate("+document.querySelector('[aria-label=\"Place along the path\"]').value") > 0


def test_two_groups_under_a_lasso_give_a_direction_with_its_uncertainty(
    opened: Any, address: str, explored: Any
) -> None:
    page = opened(address)
    page.click("#tab-directions")
    x, y = middle(page)
    for group, left in ((0, -300), (1, 20)):
        page.locator(".group button").nth(group).click()
        page.mouse.move(x + left, y - 200)
        page.mouse.down()
        for dx, dy in ((280, -200), (280, 200), (0, 200)):
            page.mouse.move(x + left + dx, y + dy, steps=3)
        page.mouse.up()
        settled(page)
    counts = page.evaluate("zatlasMaps[0].session.groups.map(g => g.length)")
    assert min(counts) > 20
    page.click("text=Find the direction")
    page.wait_for_selector("text=accuracy, held out", timeout=20_000)
    assert "±" in page.inner_text(".panel dl")
    vector = np.array(page.evaluate("[...zatlasMaps[0].session.found.vector]"))
    assert vector[0] > 0.8  # from left to right
    before = code(page)
    page.fill('[aria-label="Strength along the direction"]', "1.5")
    settled(page)
    moved = code(page) - before
    np.testing.assert_allclose(moved / np.linalg.norm(moved), vector, atol=1e-3)
    page.fill('[aria-label="Name of the direction"]', "leftright")
    page.click("text=Save to the run")
    page.wait_for_selector("ul.plain >> text=leftright")
    (explored.run.folder.path / "directions" / "leftright.json").unlink()
    keep(page, "directions")


def test_a_conditional_model_decodes_one_code_in_every_class(
    opened: Any, serve: Callable[..., str], explored_conditional: Any
) -> None:
    page = opened(serve(explored_conditional))
    page.wait_for_selector(".classes canvas")
    assert page.locator(".classes canvas").count() == 10
    before = shown(page, ".held figure canvas")
    page.click("[aria-label='Class 7']")
    page.wait_for_timeout(500)
    assert page.evaluate("zatlasMaps[0].session.label") == 7
    assert np.abs(shown(page, ".held figure canvas") - before).max() > 20
    keep(page, "classes")


def test_overlays_say_how_far_the_map_is_to_be_trusted(opened: Any, address: str) -> None:
    page = opened(address)
    page.click("#tab-trust")
    page.wait_for_selector(".badge", timeout=30_000)
    for name in ("re-encoding error", "magnification", "density of the data"):
        page.click(f".choice button:has-text('{name}')")
        page.wait_for_function("() => zatlasMaps[0].heatmap", timeout=20_000)
        page.wait_for_timeout(600)
        assert page.inner_text(".legend")
        keep(page, f"trust-{name.split()[0]}")
    page.evaluate("zatlasMaps[0].session.hold([40, 40])")
    page.wait_for_selector(".badge.warn")
    assert "Off the data" in page.inner_text(".panel")


def test_training_is_a_film_of_the_same_codes(opened: Any, address: str, explored: Any) -> None:
    page = opened(address)
    page.click("#tab-film")
    page.wait_for_selector(".film")
    settled(page)
    last = shown(page, ".film")
    page.fill('[aria-label="Step of the training"]', "0")
    settled(page)
    first = shown(page, ".film")
    assert f"step {explored.run.folder.snapshots()[0][0]}" in page.inner_text(".panel")
    assert np.abs(first - last).mean() > 10
    keep(page, "film")


def test_a_training_is_followed_until_it_ends(
    opened: Any, serve: Callable[..., str], plain_run: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "under way"
    shutil.copytree(plain_run, copy)
    record = json.loads((copy / "run.json").read_text())
    steps = sorted(path.name for path in (copy / "checkpoints").iterdir())
    shots = sorted((copy / "snapshots").glob("*.npz"))
    late = shots[-1].rename(tmp_path / "late.npz")
    (copy / "run.json").write_text(json.dumps({**record, "status": "running", "checkpoints": {"last": steps[0]}}))
    page = opened(serve(open_explored(copy, device="cpu")))
    page.click("#tab-film")
    page.wait_for_function("() => zatlasMaps[0].session.film")
    assert page.evaluate("[zatlasMaps[0].session.live, zatlasMaps[0].session.about.step]") == [True, int(steps[0][5:])]
    late.rename(shots[-1])
    (copy / "run.json").write_text(json.dumps({**record, "status": "finished", "checkpoints": {"last": steps[-1]}}))
    page.wait_for_function("() => !zatlasMaps[0].session.live", timeout=15_000)
    assert page.evaluate("zatlasMaps[0].session.about.step") == int(steps[-1][5:])
    assert page.evaluate("zatlasMaps[0].session.film.steps.at(-1)") == int(shots[-1].stem[5:])


def test_two_runs_stand_side_by_side_with_one_selection(
    opened: Any, serve: Callable[..., str], explored: Any, wide_run: Any
) -> None:
    page = opened(serve(explored, wide_run))
    assert page.locator(".map").count() == 2
    page.wait_for_function("() => zatlasMaps[1]?.session.codes?.n > 100 && zatlasMaps[1].tiles.size > 5")
    place = page.evaluate(
        """(() => { const m = zatlasMaps[0], p = m.session.placed, i = 5, b = m.box.getBoundingClientRect();
            const [x, y] = m.toPage(p[2 * i], p[2 * i + 1]); return [x + b.left, y + b.top] })()"""
    )
    page.mouse.move(*place)
    settled(page)
    rows = page.evaluate(
        "[zatlasMaps[0].session.hover.row, zatlasMaps[1].linkedRow].map((i, k) => zatlasMaps[k].session.codes.rows[i])"
    )
    assert rows[0] == rows[1]
    keep(page, "two")


def test_a_gan_and_a_vqvae_say_what_they_cannot(opened: Any, serve: Callable[..., str], tmp_path: Path) -> None:
    gan = open_explored(trained(tmp_path / "gan", "gan", steps=3), device="cpu")
    page = opened(serve(gan))
    page.click("#tab-image")
    assert "has no encoder" in page.inner_text(".panel")
    page.click("#tab-directions")
    assert "no encoder" in page.inner_text(".panel")
    vq = open_explored(trained(tmp_path / "vq", "vqvae", steps=3), device="cpu")
    page = opened(serve(vq))
    assert "words of a codebook" in page.inner_text(".panel")
    keep(page, "vqvae")


def test_the_address_brings_the_state_back(opened: Any, address: str) -> None:
    page = opened(address)
    x, y = middle(page)
    page.mouse.click(x + 60, y + 60)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    page.click(".choice button:has-text('Images')")
    shift_click(page, x - 80, y - 80)
    shift_click(page, x + 80, y - 80)
    page.wait_for_timeout(600)
    state = """(() => { const m = zatlasMaps[0], s = m.session;
        return [m.view.x, m.view.y, m.view.scale, ...s.base, ...s.stops.flatMap(p => [...p.z])] })()"""
    before = page.evaluate(state)
    again = opened(page.url)
    again.wait_for_timeout(500)
    np.testing.assert_allclose(again.evaluate(state), before, rtol=1e-3, atol=1e-3)
    assert again.evaluate("zatlasMaps[0].shown.layers") == "images"
    assert again.get_attribute("#tab-paths", "aria-selected") == "true"


def test_what_is_copied_as_python_gives_the_image_that_is_shown(opened: Any, address: str) -> None:
    page = opened(address)
    x, y = middle(page)
    page.mouse.click(x + 40, y - 60)
    settled(page)
    page.click("text=Share")
    page.click("text=Copy as Python")
    text = page.evaluate("navigator.clipboard.readText()")
    lines = [line for line in text.splitlines() if not line.startswith(("plane", "codes", "path"))]
    found: dict[str, Any] = {}
    exec("\n".join(lines), found)
    drawn = shown(page, ".held figure canvas")
    assert np.abs(np.round(found["image"][0] * 255) - drawn).max() <= 1


def test_map_codes_and_state_are_saved(opened: Any, address: str, explored: Any) -> None:
    page = opened(address)
    for words, check in (
        ("Save map, PNG", lambda path: size_of(path)[0] > 500),
        ("Save codes, CSV", lambda path: len(path.read_text().splitlines()) == len(explored.run.rows("train")) + 1),
        ("Save state, JSON", lambda path: len(json.loads(path.read_text())["z"]) == 2),
    ):
        page.click("text=Share")
        with page.expect_download() as download:
            page.click(f"text={words}")
        assert check(Path(download.value.path()))


def test_it_is_used_by_keyboard(opened: Any, address: str) -> None:
    page = opened(address)
    page.focus(".canvas")
    before = code(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    settled(page)
    assert (code(page) - before > 0).all()
    page.keyboard.press("p")
    settled(page)
    assert page.evaluate("zatlasMaps[0].session.stops.length") == 1
    scale = page.evaluate("zatlasMaps[0].view.scale")
    page.focus(".canvas")
    page.keyboard.press("+")
    assert page.evaluate("zatlasMaps[0].view.scale") > scale
    page.keyboard.press("3")
    settled(page)
    assert page.evaluate("zatlasMaps[0].shown.layers") == "images"
    page.keyboard.press("?")
    page.wait_for_selector("[role=dialog]")
    page.keyboard.press("Escape")
    assert page.locator("[role=dialog]").count() == 0


def test_lessons_are_moved_by_hand_and_give_what_explain_gives(opened: Any, address: str, explored: Any) -> None:
    from zatlas.explain.gaussian_kl import Gaussian, parts_of
    from zatlas.explain.reparameterisation import gradients

    page = opened(address)
    page.click("#tab-lessons")
    page.wait_for_selector(".formula")
    for mu, sigma in ((1.25, 0.4), (-3.0, 0.03), (0.0, 1.0), (0.5, 2.5)):
        q, p = Gaussian(np.array([mu]), np.array([[sigma**2]])), Gaussian(np.zeros(1), np.eye(1))
        found = page.evaluate(f"zatlasLessons.gaussianKl({mu}, {sigma})")
        wanted = {**parts_of(q, p)._asdict(), "kl": parts_of(q, p).kl, "reverse": parts_of(p, q).kl}
        for name in found:
            assert found[name] == pytest.approx(wanted[name], rel=1e-6, abs=1e-9), name
        noise = np.random.default_rng(0).standard_normal(5)
        rows = page.evaluate(
            "([m, s, e]) => zatlasLessons.gradients(m, s, e).map(r => [...r])", [mu, sigma, noise.tolist()]
        )
        np.testing.assert_allclose(rows, gradients(mu, sigma, noise)[:, 0], rtol=1e-6, atol=1e-9)
    page.fill('[aria-label="mu of q"]', "1.25")
    settled(page)
    shown_kl = float(page.inner_text(".formula .kl").split()[0].replace("−", "-"))
    mu, sigma = (float(page.input_value(f'[aria-label="{name} of q"]')) for name in ("mu", "sigma"))
    assert shown_kl == pytest.approx(0.5 * (sigma**2 + mu**2 - 1) - np.log(sigma), abs=0.01 + 0.03 * shown_kl)
    assert np.abs(code(page) - mu).min() < 0.02  # the held code follows
    keep(page, "lesson-kl")
    page.click(".choice button:has-text('σ ε')")
    page.wait_for_function("() => zatlasMaps[0].session.draws.length === 8")
    page.wait_for_timeout(400)
    keep(page, "lesson-draws")
    page.fill('[aria-label="Times the encoder\'s sigma"]', "0")
    settled(page)
    script = "(({draws, example}) => [draws.map(z => [...z]), [...example.mean]])(zatlasMaps[0].session)"
    drawn, mean = page.evaluate(script)
    assert drawn == [mean] * 8
    page.click(".choice button:has-text('β') >> nth=0")
    page.wait_for_selector(".formula .bound")
    page.fill('[aria-label="beta"]', "20")
    settled(page)
    forgets = float(page.input_value('[aria-label="t, from the prior to the encoder"]'))
    page.fill('[aria-label="beta"]', "0.1")
    settled(page)
    assert forgets < float(page.input_value('[aria-label="t, from the prior to the encoder"]'))
    distortion, beta, rate, bound = (
        float(v.replace("−", "-").replace(",", "")) for v in re.findall(r"[−-]?[\d.,]+", page.inner_text(".formula"))
    )
    assert bound == pytest.approx(-(distortion + beta * rate), abs=0.2)
    page.fill('[aria-label="t, from the prior to the encoder"]', "1")
    settled(page)
    own = page.evaluate("(({example}) => ({x: [...example.x], label: example.label}))(zatlasMaps[0].session)")
    with torch.no_grad():
        q = explored.run.model.encode(torch.tensor(own["x"]).reshape(1, 1, 8, 8))
    wanted = float((0.5 * (q.mean**2 + q.variance - 1 - q.variance.log())).sum())
    assert float(re.findall(r"[\d.]+", page.inner_text(".formula"))[2]) == pytest.approx(wanted, abs=0.06)
    keep(page, "lesson-beta")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Any, address: str, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("no axe-core here: cd frontend && npm ci")
    page = opened(address, color_scheme=scheme, bypass_csp=True)
    page.wait_for_function("() => zatlasMaps[0].session.units", timeout=20_000)
    page.add_script_tag(path=str(AXE))
    for tab in ("units", "image", "paths", "directions", "trust", "film", "lessons"):
        page.click(f"#tab-{tab}")
        page.wait_for_timeout(300)
        found = page.evaluate("axe.run().then(r => r.violations.map(v => [v.id, v.impact, v.nodes[0].html]))")
        assert not [one for one in found if one[1] in ("serious", "critical")], (tab, found)
    for lesson in ("σ ε", "β"):
        page.click("#tab-lessons")
        page.click(f".choice button:has-text('{lesson}')")
        page.wait_for_timeout(600)
        found = page.evaluate("axe.run().then(r => r.violations.map(v => [v.id, v.impact, v.nodes[0].html]))")
        assert not [one for one in found if one[1] in ("serious", "critical")], (lesson, found)
        keep(page, f"{scheme}-{'draws' if 'ε' in lesson else 'beta'}")


def test_on_a_phone_nothing_runs_off_the_side(opened: Any, address: str) -> None:
    page = opened(address, viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    x, y = middle(page)
    page.touchscreen.tap(x + 40, y)
    settled(page)
    assert page.evaluate("zatlasMaps[0].session.held")
    keep(page, "phone")
    page.click("#tab-lessons")
    page.wait_for_selector(".formula")
    for lesson in ("KL", "σ ε", "β"):
        page.click(f".choice button:has-text('{lesson}')")
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], lesson
        page.locator(".panel").scroll_into_view_if_needed()
        keep(page, f"phone-{'draws' if 'ε' in lesson else lesson}")


def test_names_from_data_are_text_and_never_markup(opened: Any, serve: Callable[..., str], tmp_path: Path) -> None:
    from tests.hostile import NAMES
    from zatlas.config import make_config
    from zatlas.runs.training import train

    x = np.random.default_rng(0).integers(0, 256, (90, 1, 8, 8), np.uint8)
    names = [*NAMES, "<img src=x onerror=window.owned=1>"]
    np.savez(tmp_path / "data.npz", x=x, y=np.array([names[i % len(names)] for i in range(90)]))
    values = {"data": {"source": str(tmp_path / "data.npz")}, "model": {"kind": "cvae", "network": "mlp", "size": "xs"}}
    train(make_config(("test", {**values, "training": {"steps": 3}})), out=tmp_path / "<b onclick=x>run")
    page = opened(serve(open_explored(tmp_path / "<b onclick=x>run", device="cpu")))
    page.click("#tab-directions")
    settled(page)
    assert page.evaluate("window.owned") is None
    assert page.locator("#zatlas img, #zatlas script, #zatlas b[onclick]").count() == 0
    assert "<script>alert(1)</script>" in page.inner_text(".key")
    assert page.inner_text("h1") == "<b onclick=x>run"
    keep(page, "hostile")
