"""A study from Python in one call, with the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zatlas.config.words import LIMITS
from zatlas.console import say as say_it
from zatlas.errors import UsageError
from zatlas.studies.plan import Plan, from_record, plan_record
from zatlas.studies.running import run_study
from zatlas.studies.study import Study


def study(
    data: str | Path | None = None,
    *,
    plan: str | Plan | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    draw: Mapping[str, str | Sequence[Any]] | None = None,
    trials: int | None = None,
    search: bool | None = None,
    goals: str | Sequence[str] = (),
    halving: bool | Mapping[str, Any] = False,
    seeds: int | None = None,
    metrics: Sequence[str] | None = None,
    split: str | None = None,
    best: str | None = None,
    preset: str | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    stack: bool | None = None,
    on: str | None = None,
    again: bool = False,
    report: bool = True,
    verbose: bool = True,
    **words: Any,
) -> Study:
    """Trains and measures many models of one data set, into a study folder; a study that is there is gone on with.

    Args:
        data: a name or a path; None: the plan's.
        plan: a TOML file, the name of a plan that comes with zatlas, or a :class:`~zatlas.studies.plan.Plan`; what else
            is said goes over it.
        grid: values of words, ``{"latent_dim": [2, 10], "beta": [1, 4]}``: every combination is trained.
        draw: ranges of words, ``{"learning_rate": "1e-4..1e-2:log"}``, or lists to choose from.
        trials: how many draws, or how many trials of a search.
        search: whether Optuna chooses (``zatlas[search]``), in place of random draws.
        goals: of a search, ``"elbo"``, ``"rate:min"``; several are balanced.
        halving: whether hopeless members are stopped early; or ``{"factor": 3, "first": 1 / 9}``.
        seeds: every combination is trained so often.
        metrics: as ``zatlas evaluate --metric`` knows them.
        split: rows that are measured.
        best: the figure by which members are ranked, as ``"elbo"`` or ``"rate:min"``.
        preset: a named configuration under the words.
        out: the study folder; None: one under ``runs/`` that is named after data and varied words.
        workers: processes; 0: this one; None: by a rule.
        stack: whether members alike in shape are trained as one; None: on a GPU.
        on: ``"ray"``: on the Ray cluster that RAY_ADDRESS names, or one on this machine (``zatlas[cluster]``).
        again: whether members that failed before are tried again.
        report: whether the page is made.
        verbose: whether progress goes to stderr.
        words: what is the same in all members: any key of the configuration, as ``epochs=5``; a limit of training
            replaces every limit of the plan.

    Returns:
        The study: ``.table()`` (``pandas.DataFrame`` takes it), ``.runs``, ``.best()``, ``.report``.

    Raises:
        UsageError: words that cannot be.
        ZatlasError: data or a disk that refuse.

    >>> study("digits", grid={"latent_dims": [2, 4]})
    Traceback (most recent call last):
      ...
    zatlas.errors.UsageError: the arguments, grid: there is no key latent_dims; did you mean latent_dim?
    """
    if isinstance(plan, Plan):
        record = plan.written()
    else:
        record = {} if plan is None else plan_record(str(plan))
    goals = [goals] if isinstance(goals, str) else list(goals)
    changes: dict[str, Any] = {
        "source": None if data is None else str(data), "preset": preset, "trials": trials, "search": search,
        "goals": goals or None, "seeds": seeds, "metrics": None if metrics is None else list(metrics),
        "split": split, "best": best,
        "halving": {} if halving is True else dict(halving) if halving else None,
    }  # fmt: skip
    record |= {key: value for key, value in changes.items() if value is not None}
    kept = {
        word: value
        for word, value in record.get("words", {}).items()
        if word not in LIMITS or not {*LIMITS} & words.keys()
    }
    record["words"] = {**kept, **words}
    record["grid"] = {**record.get("grid", {}), **{word: _listed(values) for word, values in (grid or {}).items()}}
    record["draw"] = {**record.get("draw", {}), **(draw or {})}
    made = from_record(record, "the arguments" if plan is None else f"the plan {shown_plan(plan)}")
    tell = say_it if verbose else lambda sentence: None
    folder = Path(out) if out else folder_for(made)
    return run_study(made, folder, workers=workers, stack=stack, on=on, again=again, report=report, say=tell)


def _listed(values: Any) -> Any:
    """Arrays and ranges as lists of plain numbers; what is no list is refused by name."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    return values if isinstance(values, str) or not isinstance(values, Sequence) else list(values)


def shown_plan(plan: str | Plan) -> str:
    return plan if isinstance(plan, str) else "given"


def folder_for(plan: Plan) -> Path:
    """The folder of a plan that names none: the same words go on in the same folder."""
    if not plan.source:
        raise UsageError("say what the study is of: zatlas study digits --grid beta=1,4.")
    short = Path(plan.source).stem.replace(":", "-")[:60] or "data"
    return Path("runs") / "-".join(["study", short, *plan.varied])[:120]
