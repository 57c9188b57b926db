"""Renders the chapters to HTML that needs no network: each is run in a kernel of this Python, cell by cell.

python examples/course/book.py --quick            # some minutes
python examples/course/book.py                    # the published outcomes
python examples/course/book.py --quick --only 3   # one chapter
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MATHS = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.S)


def mathml(text: str) -> str:
    """LaTeX between dollars as MathML, which browsers draw themselves."""
    from latex2mathml.converter import convert

    def one(found: re.Match[str]) -> str:
        block, inline = found.groups()
        spaced = re.sub(r"\\log(?=\s*[A-Za-z])", r"\\log\\,", (block or inline).strip())  # the converter sets none
        return convert(spaced, display="block" if block else "inline")

    return MATHS.sub(one, text)


def chapter(path: Path) -> tuple[str, str]:
    """A chapter run from its first cell to its last: its title and its HTML."""
    import jupytext
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    notebook = jupytext.read(path)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(HERE)}}).execute()
    title = re.search(r"^# (.+)$", notebook.cells[0].source, re.M)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = mathml(cell.source)
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    exporter.exclude_anchor_links = True
    body, _ = exporter.from_notebook_node(notebook)
    return title[1] if title else path.stem, body


def main() -> None:
    p = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    p.add_argument("--quick", action="store_true", help="a look in minutes instead of the published outcome")
    p.add_argument("--only", type=int, nargs="+", help="numbers of chapters")
    p.add_argument("--out", type=Path, default=Path("build/book"), help="folder of the pages (default build/book)")
    arguments = p.parse_args()
    from jinja2 import Environment
    from pygments.formatters import HtmlFormatter

    os.environ["ZATLAS_BOOK"] = "quick" if arguments.quick else "full"
    os.environ.setdefault("ZATLAS_BOOK_RUNS", str((arguments.out / "runs").resolve()))
    arguments.out.mkdir(parents=True, exist_ok=True)
    paths = sorted(HERE.glob("[0-9]_*.py"))
    template = Environment(autoescape=False).from_string((HERE / "page.html.j2").read_text(encoding="utf-8"))
    titles = {path: re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), re.M)[1] for path in paths}  # type: ignore[index]
    pages = [
        {"file": f"{path.stem}.html", "title": titles[path], "number": path.stem.partition("_")[0]} for path in paths
    ]
    shared = {"pages": pages, "code": HtmlFormatter(style="default").get_style_defs(".highlight")}
    for path in paths:
        if arguments.only and int(path.stem.partition("_")[0]) not in arguments.only:
            continue
        start = time.perf_counter()
        title, body = chapter(path)
        page = template.render(title=title, body=body, here=f"{path.stem}.html", quick=arguments.quick, **shared)
        (arguments.out / f"{path.stem}.html").write_text(page, encoding="utf-8")
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    contents = "".join(f'<li><a href="{page["file"]}">{page["title"]}</a></li>' for page in pages)
    about = "Five chapters, each a script with cells under <code>examples/course</code>."
    body = f"<h1>The course book</h1><p>{about}</p><ol>{contents}</ol>"
    index = template.render(title="The course book", body=body, here="index.html", quick=arguments.quick, **shared)
    (arguments.out / "index.html").write_text(index, encoding="utf-8")
    print(arguments.out / "index.html")


if __name__ == "__main__":
    main()
