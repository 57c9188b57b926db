"""Studies against training one model after another, and what a study costs beside the training.

    python benchmarks/study.py                 # the 4 x 4 course study, five epochs of MNIST; then the overhead
    python benchmarks/study.py --steps 60      # a few steps of each model: a look at the ratio on a busy machine
    python benchmarks/study.py --only overhead

*course*: the sixteen models of ``zatlas study --plan course-weights``, as the study trains them (workers, each with its
share of the cores) and one after another in one process with all cores. Both train and measure the same; the whole time
is compared, from the start of the process to the last table, without the report. Target: at most 60%.

*overhead*: what a trial of a study takes beyond the same ``train`` and ``evaluate_run`` called by hand, in one process;
and what the scheduler and its journal alone take of a trial. Target: under 0.3 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import need_shared, parser, show

ONE_AFTER_ANOTHER = """
import sys
from pathlib import Path
from zatlas.measure import evaluate_run
from zatlas.runs.training import train
from zatlas.studies.members import members
from zatlas.studies.plan import METRICS, read_plan
from zatlas.studies.work import made_config
plan = read_plan("course-weights", {"words": {"epochs": None, "%s": %d}})
for number, member in enumerate(members(plan)):
    run = train(made_config(member.config), out=Path(sys.argv[1]) / str(number))
    evaluate_run(run, metrics=METRICS)
"""
STUDY = """
import sys
from pathlib import Path
from zatlas.studies.plan import read_plan
from zatlas.studies.running import run_study
plan = read_plan("course-weights", {"words": {"epochs": None, "%s": %d}})
run_study(plan, Path(sys.argv[1]), report=False)
"""


def seconds(script: str, out: Path) -> float:
    """Of a whole process."""
    need_shared()
    free = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", script, str(out)], check=True, env=free)
    return time.perf_counter() - start


def course(limit: str, count: int, repeats: int) -> list[dict[str, float | str]]:
    rows: list[dict[str, float | str]] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            study = seconds(STUDY % (limit, count), Path(folder) / "study")
            apart = seconds(ONE_AFTER_ANOTHER % (limit, count), Path(folder) / "apart")
        rows.append({f"{limit} each": count, "study s": study, "one after another s": apart, "share": study / apart})
    return rows


def overhead(trials: int) -> list[dict[str, float | str]]:
    """Of small models of the digits, the same in both."""
    from zatlas.measure import evaluate_run
    from zatlas.runs.training import train
    from zatlas.studies.crews import Here
    from zatlas.studies.journal import Journal
    from zatlas.studies.members import Member, members
    from zatlas.studies.plan import METRICS, Plan
    from zatlas.studies.running import run_study
    from zatlas.studies.scheduling import Scheduler, work_through
    from zatlas.studies.work import made_config

    plan = Plan("digits", {"size": "xs", "steps": 20, "validations": 2}, seeds=trials)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        every = members(plan)
        train(made_config(every[0].config), out=out / "warm")
        studied, apart = [], []
        for turn in range(3):  # in turns, so that a busy machine is busy for both
            start = time.perf_counter()
            run_study(plan, out / f"study-{turn}", workers=0, report=False)
            studied.append((time.perf_counter() - start) / trials)
            start = time.perf_counter()
            for number, member in enumerate(every):
                run = train(made_config(member.config), out=out / f"{turn}-{number}")
                evaluate_run(run, metrics=METRICS)
            apart.append((time.perf_counter() - start) / trials)
        fakes = [Member(f"{number:016x}", {"number": number}) for number in range(2000)]
        journal = Journal(out / "journal.jsonl")
        start = time.perf_counter()
        work_through(Scheduler(fakes, journal), Here(lambda task, channel: ("done", {}), lambda member: {}))
        alone = (time.perf_counter() - start) / len(fakes)
        journal.close()
    studied.sort()
    apart.sort()
    return [
        {
            "trials": trials,
            "study s/trial": studied[1],
            "by hand s/trial": apart[1],
            "overhead s/trial": studied[1] - apart[1],
            "scheduler and journal s/trial": alone,
        }
    ]


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--steps", type=int, help="of each model, in place of five epochs")
    options.add_argument("--only", choices=("course", "overhead"))
    options.add_argument("--trials", type=int, default=12, help="of the overhead (default 12)")
    asked = options.parse_args()
    if asked.only != "overhead":
        need_shared()
        limit, count = ("steps", asked.steps) if asked.steps else ("epochs", 5)
        show("16 models of the course, the whole process", course(limit, count, asked.repeats), asked.json)
    if asked.only != "course":
        show("a trial of a study against train and evaluate_run by hand", overhead(asked.trials), asked.json)


if __name__ == "__main__":
    main()
