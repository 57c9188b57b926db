"""A Ray cluster: joined where RAY_ADDRESS says there is one, begun on this machine where not; one training on it.

``pip install 'zatlas[cluster]'``. The training is :func:`zatlas.runs.training.train`, the same as anywhere: Ray Train's
TorchTrainer places the workers, makes them one process group, and begins all of them again when one dies.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from zatlas.config import Config, make_config
from zatlas.data import located
from zatlas.errors import UsageError, ZatlasError, one_line
from zatlas.runs import remote
from zatlas.runs.together import LAUNCH, RESTARTS

RESTARTED = 3  # times that Ray begins the workers again
_CONNECT = 20  # seconds to find the head of a cluster
# What a cluster of this machine alone does without: each process that Ray Train begins imports pandas, pyarrow and Ray
# Data, 2 to 4 s of CPU time, and where cores are few the training waits for all of them. What is set already stays.
_LOCAL = {
    "RAY_prestart_worker_first_driver": "0",  # processes before anybody asks, which Ray Train does not take
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process that asks whether a machine is about to be taken away
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # it is 2: what a death or an end waits to be seen
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
}
_ALONE: ContextVar[bool] = ContextVar("alone", default=False)  # whether it is such a cluster


def ray_library() -> Any:
    """The module ray.

    Raises:
        ZatlasError: it is not installed.
    """
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise ZatlasError("--on ray needs the library ray: pip install 'zatlas[cluster]'.") from None
    return ray


@contextmanager
def connected(workers: int | None) -> Iterator[tuple[Any, int, bool]]:
    """Ray, how many workers there is room for, and whether each gets a GPU.

    The cluster that RAY_ADDRESS names is joined and left; without it one is begun on this machine and ended.

    Args:
        workers: how many are wanted; None: one for each GPU, or for each core where the cluster has no GPU.

    Raises:
        UsageError: a number of workers that cannot be, or that the cluster has no room for.
        ZatlasError: Ray is missing, or the cluster cannot be reached.
    """
    if workers is not None and not 1 <= workers <= 100_000:
        raise UsageError(f"{workers} workers cannot be: give 1 or more.")
    ray, address = ray_library(), os.environ.get("RAY_ADDRESS")
    ours = not ray.is_initialized()
    with _alone() if ours and address is None else nullcontext():
        if ours:
            _connect(ray, address, workers)
        try:
            yield _room(ray, workers)
        finally:
            if ours:
                ray.shutdown()


def _room(ray: Any, workers: int | None) -> tuple[Any, int, bool]:
    there = ray.cluster_resources()
    gpus, cores = int(there.get("GPU", 0)), int(there.get("CPU", 0))
    room = gpus or cores
    if workers is not None and workers > room:
        kind = "GPUs" if gpus else "cores"
        raise UsageError(f"{workers} workers do not fit into this cluster, which has {room} {kind}: give fewer.")
    return ray, workers or max(room, 1), gpus > 0


@contextmanager
def _alone() -> Iterator[None]:
    """While a cluster of this machine alone is there: it does without what only a larger one needs."""
    made = {name: value for name, value in _LOCAL.items() if name not in os.environ}
    os.environ.update(made)
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)
        for name in made:
            os.environ.pop(name, None)


def _connect(ray: Any, address: str | None, workers: int | None) -> None:
    told: dict[str, Any] = {"log_to_driver": False, "configure_logging": True, "logging_level": "ERROR"}
    try:
        if address is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            told |= {"address": "local", "num_cpus": max(cores, workers or 1), "include_dashboard": False}
        else:
            _reach(address)
            told["address"] = address
        ray.init(**told)
    except Exception as error:  # of no class, where the cluster is not there after 30 s; a second try was as late
        said = one_line(str(error)).rstrip(".")[:200]
        mend = "start it by `ray start --head`, or unset RAY_ADDRESS for a cluster on this machine"
        if not address:
            mend = "do it again when the machine is less busy, or leave --on ray out: --workers trains here without Ray"
        where = f"the Ray cluster at RAY_ADDRESS={address}" if address else "a Ray cluster on this machine"
        raise ZatlasError(f"{where} cannot be {'reached' if address else 'begun'} ({said}): {mend}.") from error


def _reach(address: str) -> None:
    """Whether somebody listens there: Ray itself asks for minutes before it says that nobody does."""
    import socket

    host, colon, port = address.partition("://")[2].rpartition(":") if "://" in address else address.rpartition(":")
    if not colon or not port.isdecimal():
        if address != "auto":
            raise ValueError("an address is HOST:PORT, ray://HOST:PORT or auto")
        return
    socket.create_connection((host or "127.0.0.1", int(port)), timeout=_CONNECT).close()


def train_on_ray(
    config: Config,
    *,
    out: Path,
    workers: int | None,
    least: int | None = None,
    hang_seconds: float,
    log: Sequence[str] = (),
    say: Callable[[str], None] = lambda sentence: None,
) -> Path:
    """Trains a configuration by several workers of a Ray cluster into a run folder that all of them see.

    Args:
        config: the configuration.
        out: a folder on a disk that all machines see, or a URL of object storage.
        workers: how many; None: as many as the cluster has GPUs, or cores.
        least: with how many it goes on while the cluster has no more (Ray's elastic training); None: with all.
        hang_seconds: how long the others wait for a worker that does not answer.
        log: trackers, as of :func:`zatlas.runs.training.train`.
        say: is given sentences for people.

    Returns:
        The folder.

    Raises:
        UsageError, ZatlasError: as of the training; a worker died more often than it may; no cluster.
    """
    from zatlas.runs.folder import check_free

    url = remote.url_of(out)
    place = remote.here(out, new=True).resolve()
    check_free(place, b"")
    if least is not None and workers is not None and not 1 <= least <= workers:
        raise UsageError(f"training goes on with at least {least} of {workers} workers: give 1 to {workers}.")
    config = config.model_copy(deep=True)
    config.data.source = located(config.data.source)
    with connected(workers) as (_, count, gpus), tempfile.TemporaryDirectory(prefix="zatlas-ray-") as scratch:
        say(f"Where  a Ray cluster, {count} worker{'s' * (count > 1)}{' with a GPU each' * gpus}; run {url or place}")
        task = {
            "config": config.model_dump(mode="json", exclude_none=True),
            "out": url or str(place),
            "launch": uuid.uuid4().hex,
            "hang": hang_seconds,
            "log": list(log),
        }
        _fit(task, (least, count) if least and least < count else count, gpus, scratch, hang_seconds)
    return remote.here(out)


def _fit(task: Mapping[str, Any], workers: Any, gpus: bool, scratch: str, hang_seconds: float) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig

    trainer = _trainer()(
        work,
        train_loop_config=dict(task),
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo", timeout_s=int(hang_seconds) or 1),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus),
        run_config=RunConfig(name="run", storage_path=scratch, failure_config=FailureConfig(max_failures=RESTARTED)),
    )
    try:
        trainer.fit()
    except Exception as error:  # Ray wraps what a worker raised in exceptions of its own
        raise _told(error) from error


def _trainer() -> Any:
    """TorchTrainer without processes that have nothing to do here.

    One would hand out Ray's datasets, and there are none. Another frees the places of workers whose controller has
    died while the driver goes on, which a cluster that ends with the driver does by itself. Where another version of
    Ray calls them otherwise, they are there.
    """
    from ray.train.torch import TorchTrainer

    unused = {"DatasetsCallback", *(["PlacementGroupCleanerCallback"] if _ALONE.get() else [])}

    class Trainer(TorchTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            return [each for each in super()._create_default_callbacks() if type(each).__name__ not in unused]

    return Trainer


def _told(error: BaseException) -> ZatlasError:
    """What a worker said, out of what Ray wraps it in."""
    found: BaseException | None = error
    while found is not None:
        for worker in getattr(found, "worker_failures", {}).values():
            if isinstance(worker, ZatlasError):
                return worker
        if isinstance(found, ZatlasError):
            return found
        found = found.__cause__ or getattr(found, "cause", None)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return ZatlasError(f"the training on Ray failed: {one_line(lines[-1].strip()) if lines else type(error).__name__}")


def work(task: Mapping[str, Any]) -> None:
    """What each worker does: the training, or what is left of it where the workers were begun again."""
    from zatlas.runs.training import train

    os.environ[LAUNCH], os.environ[RESTARTS] = task["launch"], "1"
    os.environ["ZATLAS_HANG"] = str(task["hang"])
    with suppress(SystemExit):  # with which the workers beside the first end
        train(make_config(("the training", task["config"]), trust=True), out=Path(task["out"]), log=task["log"])
