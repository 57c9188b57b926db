"""Members that a search proposes: Optuna asked and told, with the study's journal as the only memory."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from zatlas.errors import ZatlasError
from zatlas.studies.members import Member, member_at, seeds
from zatlas.studies.plan import Goal, Plan
from zatlas.studies.scheduling import Scheduler
from zatlas.studies.spaces import Choices, Space


class Search:
    """A source of members (:class:`zatlas.studies.scheduling.Source`): a trial is a member for each seed.

    What was asked and what was found stand in the journal, and a search that goes on is told of it again: Optuna's own
    storage would be a second truth beside the run folders.

    Args:
        plan: its spaces, goals and number of trials.

    Raises:
        ZatlasError: Optuna is not installed.
    """

    def __init__(self, plan: Plan) -> None:
        try:
            import optuna
        except ImportError:
            raise ZatlasError("a search wants Optuna: pip install 'zatlas[search]'.") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna, self.plan = optuna, plan
        self.goals = plan.goals or ((plan.best or Goal("elbo", less=False)),)
        self.spaces: dict[str, Space] = {**{w: Choices(v) for w, v in plan.grid.items()}, **plan.draws}
        self.distributions = {word: self._distribution(space) for word, space in self.spaces.items()}
        self._study: Any = None
        self._asked: dict[int, tuple[Any, list[Member]]] = {}  # trials that are not told yet
        self._count = 0

    def _distribution(self, space: Space) -> Any:
        kinds = self.optuna.distributions
        if isinstance(space, Choices):  # by their places, as Optuna takes no list for a category
            return kinds.CategoricalDistribution(range(len(space.values)))
        if space.whole:
            return kinds.IntDistribution(int(space.low), int(space.high), log=space.log)
        return kinds.FloatDistribution(space.low, space.high, log=space.log)

    def _begin(self, scheduler: Scheduler) -> list[Member]:
        """Restores what the journal records, and gives the members of trials that were asked for and not finished."""
        asked = {e["trial"]: e["point"] for e in scheduler.journal.events if e["event"] == "asked"}
        seed = self.plan.draw_seed + len(asked)  # the sampler's own state is not kept: it would repeat its first draws
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self.optuna.exceptions.ExperimentalWarning)
            # trials that others are busy with count as bad ones, so that workers do not all try the same place
            sampler = self.optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        directions: list[Any] = ["minimize" if goal.less else "maximize" for goal in self.goals]
        self._study = self.optuna.create_study(directions=directions, sampler=sampler)
        left: list[Member] = []
        for number in sorted(asked):
            members = self._members(asked[number], number)
            scheduler.add(members)
            values = self._values(members, scheduler)
            if values is None and any(m.key not in {*scheduler.finished, *scheduler.failed} for m in members):
                self._study.enqueue_trial(dict(asked[number]))
                self._asked[number] = (self._study.ask(self.distributions), members)
                left += members
            else:
                self._study.add_trial(self._told(asked[number], values))
        self._count = max(asked, default=-1) + 1
        return left

    def more(self, scheduler: Scheduler) -> Sequence[Member]:
        """The members of the next trial; none where there were as many as the plan wants."""
        if self._study is None and (left := self._begin(scheduler)):
            return left
        self._tell(scheduler)
        while self._count < self.plan.trials:
            trial = self._study.ask(self.distributions)
            point = {word: trial.params[word] for word in self.distributions}
            number, self._count = self._count, self._count + 1
            scheduler.journal.add("asked", trial=number, point=point)
            members = self._members(point, number)
            self._asked[number] = (trial, members)
            if any(m.key not in scheduler.members and not m.refused for m in members):
                return members
            scheduler.add(members)  # drawn before, or a combination that cannot be: the next one
            self._tell(scheduler)
        return []

    def _members(self, point: Mapping[str, Any], number: int) -> list[Member]:
        values: dict[str, Any] = {}
        for word, value in point.items():
            space = self.spaces[word]
            values[word] = space.values[value] if isinstance(space, Choices) else value
            if isinstance(value, float):
                values[word] = float(f"{value:.6g}")
        return [member_at(self.plan, values, seed=seed, trial=number) for seed in seeds(self.plan)]

    def _values(self, members: Sequence[Member], scheduler: Scheduler) -> list[float] | None:
        """The mean of each goal over the seeds of a trial; None while a seed is missing, or where a figure is."""
        found = [scheduler.finished.get(member.key) for member in members]
        if not all(found):
            return None
        means = []
        for goal in self.goals:
            values = [record["figures"].get(goal.figure, [math.nan])[0] for record in found if record]
            means.append(sum(values) / len(values))
        return means if all(map(math.isfinite, means)) else None

    def _tell(self, scheduler: Scheduler) -> None:
        for number, (trial, members) in list(self._asked.items()):
            if all(m.key in scheduler.finished or m.key in scheduler.failed for m in members):
                values = self._values(members, scheduler)
                state = self.optuna.trial.TrialState.COMPLETE if values else self.optuna.trial.TrialState.FAIL
                self._study.tell(trial, values, state=state)
                del self._asked[number]

    def _told(self, point: Mapping[str, Any], values: list[float] | None) -> Any:
        states = self.optuna.trial.TrialState
        return self.optuna.trial.create_trial(
            params=dict(point),
            distributions=self.distributions,
            values=values,
            state=states.COMPLETE if values else states.FAIL,
        )
