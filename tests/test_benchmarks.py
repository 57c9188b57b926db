"""Benchmarks are run by hand and seldom, so what they import of zatlas is looked at in every run of the tests."""

import ast
import importlib
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


def imported(path):
    """Module and name of everything that a file takes from zatlas, also inside the programs that it starts."""
    trees = [ast.parse(path.read_text(encoding="utf-8"))]
    for text in (node.value for node in ast.walk(trees[0]) if isinstance(node, ast.Constant)):
        if isinstance(text, str) and "import" in text and "\n" in text:
            try:
                trees.append(ast.parse(text))
            except SyntaxError:  # words
                continue
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "zatlas":
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(path):
    for module, name in imported(path):
        found = importlib.import_module(module)
        assert hasattr(found, name) or importlib.import_module(f"{module}.{name}"), f"{path.name}: {module}.{name}"
