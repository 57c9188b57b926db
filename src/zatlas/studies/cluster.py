"""The members of a study as tasks of a Ray cluster.

The study's own scheduler decides, with its journal, its halving and Optuna, as it does for processes. Ray Tune was the
alternative: its search and its ASHA are the same algorithms, but what is finished would stand in a second place, the
experiment's state beside the journal, and "nothing is trained twice" is tested of the journal, with 10,000 trials and
200 kills.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from zatlas.errors import ZatlasError, one_line
from zatlas.studies.crews import HANG, Task
from zatlas.studies.members import Member

BEAT = 5.0  # seconds between two signs of life: a thousand members tell one mailbox


class _Mailbox:
    """An actor between the members and the study: messages one way, answers the other."""

    def __init__(self) -> None:
        self.messages: deque[dict[str, Any]] = deque()
        self.answers: dict[str, bool] = {}

    def tell(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def take(self) -> list[dict[str, Any]]:
        taken, self.messages = list(self.messages), deque()
        return taken

    def answer(self, key: str, on: bool) -> None:
        self.answers[key] = on

    def answered(self, key: str) -> bool | None:
        return self.answers.pop(key, None)


class _Post:
    """The channel of a member that is worked on somewhere in the cluster."""

    def __init__(self, ray: Any, mailbox: Any, key: str) -> None:
        self.ray, self.mailbox, self.key = ray, mailbox, key
        self._told = -BEAT

    def beat(self) -> None:
        if time.monotonic() - self._told >= BEAT:
            self._tell({"what": "beat"})

    def ask(self, rung: int, loss: float) -> bool:
        self._tell({"what": "rung", "fact": {"rung": rung, "loss": loss}})
        while (on := self.ray.get(self.mailbox.answered.remote(self.key))) is None:
            time.sleep(0.05)
        return bool(on)

    def _tell(self, message: dict[str, Any]) -> None:
        self._told = time.monotonic()
        self.ray.get(self.mailbox.tell.remote({"key": self.key, **message}))


def _do(task: Mapping[str, Any], mailbox: Any) -> tuple[str, Any]:
    import ray

    from zatlas.studies.worker import do

    post = _Post(ray, mailbox, task["key"])
    post.beat()
    return do(task, post)


class RayCrew:
    """Workers of a Ray cluster: a member whose machine or process goes is begun again from its last checkpoint.

    Args:
        ray: the module, connected.
        count: at most so many members at once.
        gpus: whether each gets a GPU.
        call: ``"module:function"``, what does the work.
        task_of: makes a member's task.
        hang_seconds: a member without a sign of life for so long is ended.
        collect: brings the run of a member that is done to where the study reads it.
    """

    def __init__(
        self,
        ray: Any,
        count: int,
        gpus: bool,
        call: str,
        task_of: Callable[[Member], Task],
        *,
        hang_seconds: float = HANG,
        collect: Callable[[Member], None] = lambda member: None,
    ) -> None:
        self.ray, self.count, self.call, self.task_of = ray, count, call, task_of
        self.hang_seconds, self.collect = hang_seconds, collect
        needs = {"num_cpus": 1, "num_gpus": 1 if gpus else 0, "max_retries": 0, "scheduling_strategy": "SPREAD"}
        self._do = ray.remote(**needs)(_do)
        self.mailbox = ray.remote(num_cpus=0, max_concurrency=1)(_Mailbox).remote()
        self._tasks: dict[Any, Member] = {}
        self._heard: dict[str, float] = {}
        self._told: deque[tuple[Member, str, Any]] = deque()

    def free(self) -> bool:
        return len(self._tasks) < self.count

    def busy(self) -> bool:
        return bool(self._tasks or self._told)

    def start(self, member: Member) -> None:
        task = {"call": self.call, "key": member.key, **self.task_of(member)}
        self._tasks[self._do.remote(task, self.mailbox)] = member
        self._heard.pop(member.key, None)

    def answer(self, member: Member, on: bool) -> None:
        self.ray.get(self.mailbox.answer.remote(member.key, on))

    def next(self) -> tuple[Member, str, Any]:
        """What is heard next of a member: its end, its failure, or a question at a rung."""
        while not self._told:
            ended, _ = self.ray.wait(list(self._tasks), num_returns=1, timeout=0.2)
            self._take_messages()
            for task in ended:
                self._told.append(self._end_of(task))
            self._end_silent()
        member, what, fact = self._told.popleft()
        if what == "interrupted":
            raise KeyboardInterrupt
        return member, what, fact

    def _take_messages(self) -> None:
        known = {member.key: member for member in self._tasks.values()}
        for message in self.ray.get(self.mailbox.take.remote()):
            self._heard[message["key"]] = time.monotonic()
            if message["what"] == "rung" and message["key"] in known:
                self._told.append((known[message["key"]], "rung", message["fact"]))

    def _end_of(self, task: Any) -> tuple[Member, str, Any]:
        member = self._tasks.pop(task)
        try:
            what, fact = self.ray.get(task)
        except Exception as error:  # of Ray: the process or the machine is gone, or out of memory
            lines = str(error).strip().splitlines()
            return member, "died", f"its worker died: {one_line(lines[0])[:300] if lines else type(error).__name__}"
        try:
            if what == "done":
                self.collect(member)
        except ZatlasError as error:
            return member, "failed", f"it is trained, and its run did not come here: {error}"
        return member, what, fact

    def _end_silent(self) -> None:
        """Ends members that hang; one that waits for a place in the cluster has given no sign yet, and does not."""
        now = time.monotonic()
        for task, member in list(self._tasks.items()):
            if now - self._heard.get(member.key, now) > self.hang_seconds:
                self.ray.cancel(task, force=True)
                del self._tasks[task]
                told = f"its worker gave no sign of life for {self.hang_seconds:g} s and was ended."
                self._told.append((member, "hung", told))

    def stop(self) -> None:
        """Ends all members; each goes on from its last checkpoint when the study does."""
        for task in self._tasks:
            self.ray.cancel(task, force=True)

    def close(self) -> None:
        self.stop()
        self.ray.kill(self.mailbox)
