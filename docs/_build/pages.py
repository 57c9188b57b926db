"""Pages that are written from the package itself, each time the site is built: the command line from the typer app, the
parts from the registry, a page of Python for every public module, the changelog, and the course book where it was made."""

import inspect
import re
import shutil
from html import escape
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "build" / "book"
MODULES = (
    *("zatlas", "zatlas.estimators", "zatlas.walks", "zatlas.measure", "zatlas.export", "zatlas.testing"),
    *("zatlas.parts", "zatlas.trust", "zatlas.objectives", "zatlas.networks", "zatlas.models", "zatlas.distributions"),
    *("zatlas.training", "zatlas.evaluation", "zatlas.data", "zatlas.config", "zatlas.importers"),
)
SORTS = {
    "model": "--model",
    "objective": "--objective",
    "network": "--network",
    "prior": "--prior",
    "posterior": "--set posterior.kind=NAME",
    "likelihood": "--likelihood",
    "metric": "zatlas evaluate RUN --metric",
    "walk": "zatlas.walks",
    "importer": "zatlas import FILE --from",
    "format": "zatlas train DATA",
}
PLURAL = {"posterior": "Posteriors", "format": "Data formats", "importer": "Importers"}


def cell(text):
    """Text of a table, which neither Markdown nor HTML is to read."""
    return escape(" ".join(str(text).split()), quote=False).replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def code(text):
    return "`" + str(text).replace("|", "¦") + "`"


def commands():
    """Every command with its options, by the headings of ``zatlas --help``."""
    import typer.main

    from zatlas.cli.app import app

    root, panels = typer.main.get_command(app), {}
    for name, command in root.commands.items():
        panels.setdefault(str(command.rich_help_panel), []).append((name, command))
    lines = ["# The command line", "", f"{root.help}", "", "Every command takes `-h`; errors are one sentence, and"]
    lines += ["`zatlas --debug …` shows where one came from. Exit status: 0 done, 1 the work failed, 2 the words are wrong."]
    for panel, found in panels.items():
        lines += ["", f"## {panel}"]
        for name, command in found:
            lines += _command(name, command, 3)
    return "\n".join(lines)


def _command(path, command, level):
    inner = getattr(command, "commands", None)
    first, *more = inspect.cleandoc(command.help or "").split("\n\n")
    lines = ["", f"{'#' * level} zatlas {path}", "", first]
    for paragraph in more:
        said = paragraph.split("  ·  ")
        sample = all(one.startswith("zatlas ") and "says" not in one for one in said)
        lines += ["", *(["```sh", *said, "```"] if sample else [cell(paragraph)])]
    if inner is not None:
        for name, one in inner.items():
            lines += _command(f"{path} {name}", one, level + 1)
        return lines
    shown = [p for p in command.params if not p.hidden] if all(hasattr(p, "hidden") for p in command.params) else command.params
    rows = [p for p in shown if "--help" not in p.opts]
    if rows:
        lines += ["", "| option | what it does |", "|---|---|"]
    for p in rows:
        if p.param_type_name == "argument":
            names = code(p.metavar or p.name.upper())
        else:
            names = " ".join(code(opt) for opt in [*p.opts, *p.secondary_opts])
        text = cell(getattr(p, "help", None) or "")
        if p.param_type_name == "option" and not p.is_flag and p.default not in (None, (), []) and not callable(p.default):
            text += "" if "default" in text else f" (default: {cell(p.default)})"
        lines.append(f"| {names} | {text} |")
    return lines


def parts():
    """Every declared part, as ``zatlas models`` says it."""
    from zatlas import parts as registry

    lines = ["# The parts", "", "Everything the family is made of, as it declares itself; `zatlas models NAME` says the same in a"]
    lines += ["terminal. [Extending](extending.md) says how to add your own."]
    for sort, word in SORTS.items():
        found = [part for part in registry.SORTS[sort].parts() if part.name != "auto" and not part.is_foreign]
        if not found:
            continue
        lines += ["", f"## {PLURAL.get(sort, sort.capitalize() + 's')}", "", f"In the command line: {code(word)}.", ""]
        settled = [part for part in found if _settings(part)]
        lines += ["| name | when to use it | source |", "|---|---|---|"]
        for part in found:
            name = f"[`{part.name}`](#{sort}-{part.name})" if part in settled else f"`{part.name}`"
            lines.append(f"| {name} | {cell(part.when)} | {cell(part.source)} |")
        for part in settled:
            lines += ["", f"### {part.name} {{ #{sort}-{part.name} data-toc-label='{part.name}' }}", ""]
            lines += [f"{cell(part.title or part.when)}."]
            if sort == "model":
                lines += ["", f"Goes with the objectives {', '.join(part.objectives)}."]
            lines += ["", "| setting | default | what it is |", "|---|---|---|"]
            for key, field in _settings(part).items():
                default = "" if field.is_required() or field.default is None else code(field.default)
                lines.append(f"| `{sort}.{key}` | {default} | {cell(field.description or '')} |")
    return "\n".join(lines)


def _settings(part):
    if part.sort in ("metric", "walk", "importer", "format"):
        return {}
    return {key: field for key, field in part.settings.model_fields.items() if key != "kind"}


def python():
    """A page for every public module."""
    lines = ["# Python", "", "| module | what it holds |", "|---|---|"]
    pages = {}
    for name in MODULES:
        module = __import__(name, fromlist=["_"])
        about = (inspect.getdoc(module) or "").split("\n\n")[0]
        lines.append(f"| [`{name}`]({name}.md) | {cell(about)} |")
        pages[f"api/{name}.md"] = f"# {name}\n\n::: {name}\n"
    return {"api/index.md": "\n".join(lines), **pages}


def changelog():
    return re.sub(r"\]\(docs/", "](", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def book():
    """Where the course book is, or how it is made."""
    chapters = sorted((ROOT / "examples" / "course").glob("[0-9]_*.py"))
    titles = {p: re.search(r"^# # (.+)$", p.read_text(encoding="utf-8"), re.M)[1] for p in chapters}
    lines = ["# The course book", "", "Five chapters, each a script with cells under `examples/course`, run from its first cell to its last."]
    if not (BOOK / "index.html").is_file():
        lines += ["", '!!! note "Not made yet"', "    `make book` runs the chapters (some minutes); `make docs` after it puts them here."]
    lines += [""]
    for number, (path, title) in enumerate(titles.items(), 1):
        made = (BOOK / f"{path.stem}.html").is_file()
        lines.append(f'{number}. <a href="course/{path.stem}.html">{escape(title)}</a>' if made else f"{number}. {title}")
    return "\n".join(lines)


def on_config(config):
    (nav,) = (section for section in config.nav if "Python" in section)
    nav["Python"] = ["api/index.md", *({name: f"api/{name}.md"} for name in MODULES)]
    return config


def on_files(files, config):
    made = {"commands.md": commands(), "parts.md": parts(), "changelog.md": changelog(), "book.md": book(), **python()}
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    for path in sorted((ROOT / "examples" / "extension").rglob("*.*")):
        if path.suffix in (".py", ".toml"):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, content=path.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links that lead out of docs/, as they read on GitHub, lead to the copies in the site."""
    return re.sub(r"\]\((?:\.\./)+(examples/extension/[\w./]+)\)", rf"]({'../' * page.file.src_uri.count('/')}\1)", markdown)


def on_post_build(config):
    if (BOOK / "index.html").is_file():
        target = Path(config.site_dir) / "course"
        target.mkdir(exist_ok=True)
        for page in BOOK.glob("*.html"):
            shutil.copy(page, target)
