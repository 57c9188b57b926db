"""The built page is that of the sources beside it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC, FRONTEND = ROOT / "src/zatlas/explorer/static", ROOT / "frontend"


def test_the_page_was_built_from_the_sources_that_are_here() -> None:
    names = [f"src/{path.name}" for path in (FRONTEND / "src").iterdir()]
    names += ["index.html", "icon.svg", "build.mjs", "package-lock.json"]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\n".encode() + (FRONTEND / name).read_bytes() + b"\n")
    built = json.loads((STATIC / "BUILD.json").read_text())
    assert built["sources"] == digest.hexdigest(), "build it again: cd frontend && npm ci && npm run build"


def test_the_page_asks_nothing_of_other_machines() -> None:
    for name in ("index.html", "app.js", "app.css"):
        text = (STATIC / name).read_text()
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w{2,}", text)) - {"http://www.w3.org"}
        assert not found, (name, found)


@pytest.mark.slow
def test_a_new_build_is_the_one_that_is_committed(tmp_path: Path) -> None:
    if not shutil.which("node") or not (FRONTEND / "node_modules").is_dir():
        pytest.skip("no Node with the packages here: cd frontend && npm ci")
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=FRONTEND, check=True, capture_output=True, timeout=400)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (STATIC / path.name).read_bytes(), f"{path.name} is not what npm run build makes"
