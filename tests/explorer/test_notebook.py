"""The explorer in a notebook's cell: a widget, or a frame."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest

from zatlas.errors import UsageError
from zatlas.explorer.packing import unpack

STATIC = Path(__file__).parents[2] / "src/zatlas/explorer/static"


def test_a_run_explores_itself_in_a_frame_that_is_served(explored: Any) -> None:
    frame = explored.run.explore(height=500, port=0)
    shown = frame._repr_html_()
    assert 'height="500"' in shown
    address = re.search(r'src="([^"]+)"', shown)
    assert address
    assert address[1] == frame.address
    with urlopen(frame.address, timeout=10) as response:
        assert b'id="zatlas"' in response.read()
    frame.stop()


def test_without_anywidget_it_is_a_frame(explored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zatlas.explorer import notebook

    monkeypatch.setattr(notebook, "find_spec", lambda name: None)
    frame = explored.run.explore()
    assert isinstance(frame, notebook.Frame)
    frame.stop()


@pytest.mark.parametrize("port", [None, 0])
def test_more_than_two_runs_are_refused_in_a_notebook_too(explored: Any, port: int | None) -> None:
    with pytest.raises(UsageError, match="side by side"):
        explored.run.explore(explored.run, explored.run, port=port)


@pytest.fixture
def widget(explored: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A widget whose messages to the page are kept."""
    pytest.importorskip("anywidget")
    made = explored.run.explore(height=640)
    made.sent = []
    monkeypatch.setattr(type(made), "send", lambda self, content, buffers=None: self.sent.append((content, buffers)))
    return made


def said(widget: Any, **message: Any) -> tuple[Any, list[bytes]]:
    """What the widget answers to a message of the page, as the notebook delivers it."""
    widget._handle_custom_msg(message, [])
    widget._slow.submit(lambda: None).result()
    return widget.sent.pop()


def test_a_widget_answers_as_the_server_does(widget: Any, explored: Any) -> None:
    content, buffers = said(widget, id=7, run="a", question="decode", values={"z": [[0.1, 0.2]]})
    assert content == {"id": 7}
    assert buffers == [explored.ask("decode", {"z": [[0.1, 0.2]]})]
    content, buffers = said(widget, id=8, run="a", question="codes", values={"n": 20})  # from the slower thread
    assert content == {"id": 8}
    assert unpack(buffers[0])[1]["mean"].shape == (20, 2)
    assert widget.runs == [{"id": "a", "name": explored.run.folder.name}]


@pytest.mark.parametrize(
    "message",
    [
        {"id": 1, "run": "b", "question": "decode", "values": {}},
        {"id": 1, "run": "a", "question": "nothing", "values": {}},
        {"id": 1, "run": "a", "question": "decode", "values": {"z": [["x"]]}},
        {"id": 1, "run": ["a"], "question": {}, "values": None},
        {"id": 1},
    ],
)
def test_what_a_widget_cannot_answer_is_a_sentence(widget: Any, message: dict[str, Any]) -> None:
    content, buffers = said(widget, **message)
    assert content["id"] == 1
    assert content["error"].endswith(".")
    assert "\n" not in content["error"]
    assert buffers == []


HOST = """<!doctype html><meta charset="utf-8"><body style="font: 40px serif; margin: 20px">
<input id="cell" value="a cell of the notebook"><div id="out" style="width: 900px"></div><script type="module">
import widget from "data:text/javascript;base64,SOURCE";
const heard = [], values = VALUES;
window.commands = [];
addEventListener("keydown", (e) => commands.push(e.key));
const model = {
  get: (name) => values[name],
  on: (event, call) => heard.push(call),
  off: (event, call) => heard.splice(heard.indexOf(call), 1),
  send: async (content) => {
    const [said, packed] = await window.kernel(content);
    // as a notebook delivers it: views into a larger buffer
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0)), whole = new Uint8Array(bytes.length + 5);
    whole.set(bytes, 3);
    for (const call of heard) call(said, [new DataView(whole.buffer, 3, bytes.length)]);
  },
};
window.ended = widget.render({ model, el: document.getElementById("out") });
window.listeners = heard;
</script>"""


@pytest.mark.slow
def test_the_widget_shows_the_page_in_a_cell_and_leaves_the_notebook_alone(
    browser: Any, widget: Any, explored: Any
) -> None:
    from tests.explorer.test_page import AXE, keep

    def kernel(content: dict[str, Any]) -> tuple[Any, str]:
        said_, buffers = said(widget, **content)
        return said_, base64.b64encode(b"".join(buffers)).decode()

    errors: list[str] = []
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.expose_function("kernel", kernel)
    source = base64.b64encode((STATIC / "widget.js").read_bytes()).decode()
    values = {name: getattr(widget, name) for name in ("runs", "style", "height")}
    page.set_content(HOST.replace("SOURCE", source).replace("VALUES", json.dumps(values)))
    page.wait_for_function("() => window.zatlasMaps?.[0]?.tiles.size > 30", timeout=30_000)
    box = page.query_selector(".canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2)
    page.wait_for_timeout(400)
    z = np.array(page.evaluate("[...zatlasMaps[0].session.base]"), np.float32)
    image = np.reshape(page.evaluate("[...zatlasMaps[0].session.holding]"), (8, 8))
    np.testing.assert_allclose(image, explored.run.decode(z[None]).mean[0, 0], atol=1e-5)
    page.keyboard.press("3")
    assert page.evaluate("[zatlasMaps[0].shown.layers, commands.length, location.hash, document.title]") == [
        "images",
        0,
        "",
        "",
    ]
    page.focus("#cell")
    page.keyboard.press("1")
    assert page.evaluate("[zatlasMaps[0].shown.layers, commands]") == ["images", ["1"]]
    assert (
        "serif"
        not in page.evaluate(
            "getComputedStyle(document.querySelector('.zatlas-explorer').shadowRoot.querySelector('h1')).fontFamily"
        ).split(",")[0]
    )
    assert page.evaluate("getComputedStyle(document.body).margin") == "20px"
    keep(page, "widget")
    if AXE.is_file():
        page.add_script_tag(path=str(AXE))
        found = page.evaluate("axe.run('#out').then(r => r.violations.map(v => [v.id, v.impact, v.nodes[0].html]))")
        assert not [one for one in found if one[1] in ("serious", "critical")], found
    page.evaluate("ended()")
    assert page.evaluate("[document.getElementById('out').children.length, listeners.length]") == [0, 0]
    assert not errors
    context.close()
