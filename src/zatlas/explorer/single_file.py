"""`zatlas export RUN --html FILE`: the page with the model, the codes and WebAssembly in one file that asks nobody.

Bytes lie in the file as they are, in a page declared to be windows-1252, where every byte is a character: base64 would
make a third more of them. Four bytes that the parser of HTML would change, or that end a script, are written as ``=``
and the byte plus 64, as yEnc does. Weights are rounded to steps as coarse as keep outputs within
``HALF_TOLERANCE``; see rounding.py.

What the map needs comes first in the file, and the page's own script after it: the map is drawn before a browser has
read the rest, which is the model and the WebAssembly that runs it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.data import evenly_spaced
from zatlas.errors import UsageError, ZatlasError
from zatlas.explorer import file_parts, forms
from zatlas.explorer.asking import QUESTIONS, Explored
from zatlas.explorer.bundle import static
from zatlas.explorer.lattice import lattice
from zatlas.explorer.packing import pack
from zatlas.explorer.rounding import coarsest
from zatlas.export.onnx import need_onnx, onnx_function, onnx_model
from zatlas.export.parity import TOLERANCE, check, difference
from zatlas.export.parts import parts_of
from zatlas.export.ports import Part, Tensors
from zatlas.files import write_bytes
from zatlas.runs.opened import Run
from zatlas.training.checkpoint import name_of

CODE_BYTES = 480_000  # for the codes: 70,000 of two units as 16-bit numbers, with their labels
MOST_IMAGES = 1000
ESCAPED = b"\x00\r<="
INSTEAD = "`zatlas explore RUN` shows it"
ABSENT = {
    "densest": "A path where the data lie is sought by `zatlas explore`, not in this file.",
    "logistic": "This file fits directions as differences of means; `zatlas explore` fits two other ways, and saves.",
    "follow": "This file is of one step of the training: `zatlas explore` follows a run.",
}
ABSENT["cca"] = ABSENT["logistic"]
NO_BOUND = (
    "The distortion under this run's likelihood, and so the bound, is worked out by `zatlas explore`, not in this file."
)
OF_DIRECTION = (
    *("name", "sentence", "method", "scale", "threshold", "accuracy", "correlation"),
    *("angle_degrees", "angle_degrees_95"),
)
WIDE = 8  # units up to which the page measures the decoder's Jacobian all over the map
TOO_WIDE = (
    "The Jacobian of a decoder of {dim} units all over the map takes {times} decodings a point: `zatlas explore` "
    "measures it."
)


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        path: of the file.
        size: bytes.
        codes: how many are in it, and of how many.
        images: training images in it.
        differences: by graph, the largest difference of its outputs from the model's.
        steps: by graph, steps that its weights are rounded to in a standard deviation of theirs, the geometric mean
            over its tensors; 0: not rounded.
    """

    path: Path
    size: int
    codes: tuple[int, int]
    images: int
    differences: dict[str, float]
    steps: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "bytes": self.size,
            "codes": self.codes[0],
            "codes_of": self.codes[1],
            "training_images": self.images,
            "largest_difference": self.differences,
            "weight_steps": self.steps,
        }

    def sentence(self) -> str:
        held, every = self.codes
        some = f"{held:,} codes" if held == every else f"{held:,} of {every:,} codes, spread evenly"
        images = f"{self.images} training images" if self.images else "no training images"
        return f"Wrote {self.path}: {self.size / 1e6:.1f} MB with the model, {some}, their labels and {images}."


def write_html(run: Run | str | Path, out: str | Path, *, images: int = 0) -> Written:
    """Writes the explorer of a run as one HTML file, once it is sure that the model in it gives what the run gives.

    Args:
        run: an opened run, or its folder.
        out: the file.
        images: training images that it is to hold; by default none.

    Raises:
        UsageError: more images than may be, of a run that does not hold its data, or of data that are no images.
        ZatlasError: an operation that ONNX does not have, or outputs that are too far off; nothing is written then.
    """
    need_onnx()
    opened = run if isinstance(run, Run) else Run(run, device="cpu")
    if opened.device.type != "cpu":
        opened = Run(opened.folder, device="cpu", checkpoint=name_of(opened.step))
    if not 0 <= images <= MOST_IMAGES:
        raise UsageError(f"--with-images is from 0 to {MOST_IMAGES}, not {images}.")
    explored = Explored(opened)
    about, codes_facts, arrays, held_images, total = _contents(explored, images)
    more, extra = _more(explored, about)
    where, seen = lattice(explored, codes_of(arrays))
    parts = _parts(explored, about, more)
    graphs, differences, steps = _graphs(parts, lambda part: file_parts.inputs_like(opened, part))
    count = len(np.asarray(arrays["quantised"]))
    held = f"{count:,} codes" if count == total else f"{count:,} of {total:,} codes"
    shown = f"{images} training images" if images else "no training images"
    about["holds"] = (
        f"This file holds the model, {held} with their labels, and {shown}. It asks nothing of the network."
    )
    facts = {"about": about, "codes": codes_facts, "units": _units(explored), "closed_rate": _closed(opened), **more}
    content = {name: np.frombuffer(_planes(graph), np.uint8) for name, graph in graphs.items()}
    page = _page(
        about["name"],
        first=pack(facts | where, arrays | seen),
        rest=gzip.compress(pack({}, {**held_images, **extra, **content}), 9, mtime=0),
    )
    write_bytes(Path(out), page)
    return Written(Path(out), len(page), (count, total), images, differences, steps)


Arrays = dict[str, Array | None]


def mixed(n: int) -> Array:
    """The order in which n codes lie in the file: one of chance, or the last class would be drawn on top."""
    return np.random.default_rng(0).permutation(n)


def _contents(explored: Explored, images: int) -> tuple[dict[str, Any], dict[str, Any], Arrays, Arrays, int]:
    """What the page is told at once, facts of the codes, arrays of them, training images, how many codes in all."""
    run = explored.run
    about, _ = QUESTIONS["about"].answer(explored, None)
    about["path"] = about["name"]  # where it lay is nobody's business
    about["data"] = Path(about["data"]).name
    about["can"] = ABSENT | about["can"]
    if not run.kind.axes or run.kind.point or not about["standard_prior"]:
        about["can"].setdefault("sample", "This file does not hold the prior.")
    if not run.kind.infers:
        about["can"].setdefault("reencode", about["can"]["encode"])
    every = len(run.rows("train")) if run.kind.infers and run.has_data else 2000
    most = max(500, CODE_BYTES // (2 * run.latent_dim + 2))
    facts, found = explored.codes(min(most, every, explored.points))
    order = mixed(len(np.asarray(found["mean"])))
    found = {name: None if values is None else values[order] for name, values in found.items()}
    mean = np.asarray(found["mean"], np.float64)
    low, high = mean.min(0), mean.max(0)
    step = np.where(high > low, (high - low) / 65535, 1.0)
    quantised = (np.round((mean - low) / step) - 32768).astype(np.int16)
    arrays: Arrays = {"quantised": quantised, "low": low, "step": step}
    for name, values in found.items():
        if values is not None and (name == "labels" or name.startswith("factor")):
            small = values.dtype.kind in "iu" and (not len(values) or (values.min() >= 0 and values.max() < 256))
            arrays[name] = values.astype(np.uint8) if small else values
    if not images:
        about["can"]["examples"] = "This file holds no training images."
    return about, facts, arrays, _images(run, found.get("rows"), images) if images else {}, every


def codes_of(arrays: Arrays) -> Array:
    """Codes ``[N, D]`` as the page has them."""
    quantised, low, step = (np.asarray(arrays[name], np.float64) for name in ("quantised", "low", "step"))
    codes: Array = low + (quantised + 32768) * step
    return codes


def _images(run: Run, rows: Array | None, count: int) -> dict[str, Array | None]:
    """Training images, as bytes, and which codes are theirs."""
    if rows is None or not run.spec.is_image:
        raise UsageError(f"{run.folder.path} has no training images to hold: leave --with-images out.")
    chosen = evenly_spaced(np.argsort(rows), count)
    x = run.displayable(run.examples(rows[chosen].astype(np.int64)))
    return {"examples": np.round(x * 255).astype(np.uint8), "example_of": chosen.astype(np.int32)}


def _more(explored: Explored, about: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Array | None]]:
    """The film of the training and the saved directions; what stays out is said in the abilities."""
    shots = file_parts.film(explored)
    facts: dict[str, Any] = {}
    arrays: dict[str, Array | None] = {}
    if isinstance(shots, str):
        about["can"].setdefault("snapshots", shots)
    else:
        facts["film"], arrays["film"] = shots
    if explored.run.latent_dim > WIDE:
        dim = explored.run.latent_dim
        about["can"].setdefault("magnification", TOO_WIDE.format(dim=dim, times=2 * dim))
    if "directions" not in about["can"]:
        found, vectors = QUESTIONS["directions"].answer(explored, forms.Nothing())
        facts["directions"] = [{key: one[key] for key in OF_DIRECTION if key in one} for one in found["directions"]]
        arrays |= vectors
    return facts, arrays


def _units(explored: Explored) -> list[dict[str, Any]] | None:
    if "units" in explored.abilities:
        return None
    facts, _ = QUESTIONS["describe"].answer(explored, forms.Nothing())
    units: list[dict[str, Any]] = facts["units"]
    return units


def _closed(run: Run) -> bool:
    """Whether the rate is that of a diagonal Gaussian from N(0, I), which the page can work out."""
    prior = run.config.prior
    return prior is not None and prior.kind == "normal" and not run.kind.conditional


def _parts(explored: Explored, about: dict[str, Any], facts: dict[str, Any]) -> list[Part]:
    """All graphs that the file is to hold; what has none is said in the abilities."""
    run = explored.run
    found = {part.name: part for part in parts_of(run, rows=True).parts if part.name in ("decoder", "encoder")}
    if run.kind.infers:
        score = file_parts.score_part(explored, found["decoder"])
        if score is None:
            about["can"]["distortion"] = NO_BOUND
        else:
            found["score"] = score
    if "density" not in about["can"]:
        found["density"], facts["typical"] = file_parts.density_part(explored)
    return list(found.values())


def _graphs(
    parts: Sequence[Part], inputs: Callable[[Part], Tensors | None]
) -> tuple[dict[str, bytes], dict[str, float], dict[str, float]]:
    """The graphs as ONNX, with weights in steps as coarse as will do; their errors; the steps."""
    graphs, differences, steps = {}, {}, {}
    for part in parts:
        model = onnx_model(part)
        graph = model.SerializeToString()
        gap = difference(part, onnx_function(graph, part))
        check(part, gap, TOLERANCE, "ONNX", INSTEAD)
        found = coarsest(model, part, inputs(part)) or (graph, gap, 0.0)
        graphs[part.name], differences[part.name], steps[part.name] = found
    return graphs, differences, steps


def _planes(content: bytes) -> bytes:
    """The bytes at even places, then those at odd ones: the upper halves of 16-bit weights, together, pack well."""
    return content[::2] + content[1::2]


def escaped(content: bytes) -> bytes:
    r"""Bytes as they stand in a script of a windows-1252 page.

    >>> escaped(b"a<b=\x00")
    b'a=|b=}=@'
    """
    out = content.replace(b"=", b"=" + bytes([ord("=") + 64]))
    for byte in ESCAPED.replace(b"=", b""):
        out = out.replace(bytes([byte]), b"=" + bytes([byte + 64]))
    return out


def _page(name: str, *, first: bytes, rest: bytes) -> bytes:
    script, style = static("file.js"), static("app.css")
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}' 'wasm-unsafe-eval' blob:; worker-src blob:; "
        "style-src 'unsafe-inline'; img-src data: blob:; media-src blob: mediastream:; connect-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = html.escape(f"{name} · zatlas").encode("ascii", "xmlcharrefreplace")
    if any(byte > 127 for byte in script + style) or b"</script" in script.lower():
        raise ZatlasError("the explorer's page was built with other than ASCII: build it again in frontend/.")
    block = lambda which, content: (
        b'<script type="application/octet-stream" id="' + which + b'">' + escaped(content) + b"</script>\n"
    )
    return b"".join(
        [
            b'<!doctype html>\n<html lang="en"><head><meta charset="windows-1252">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'.encode(),
            b'<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            b'<meta name="color-scheme" content="light dark">\n',
            b"<title>" + title + b"</title>\n<style>" + style + b"</style></head>\n",
            b'<body><div id="zatlas"><main class="lost"><p class="opening">Opening the map &hellip;</p></main></div>\n',
            block(b"first", first),  # not compressed: codes are noise, and browsers unpack gzip only in their own time
            block(b"worker", gzip.compress(static("worker.js"), 9, mtime=0)),
            b"<script>" + script + b"</script>\n",
            block(b"wasm", static("ort.wasm.zst")),
            block(b"rest", rest),
            b"</body></html>\n",
        ]
    )
