"""What this machine has, for people who ask why something is slow or missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from rich.table import Table

PACKAGES = ("zatlas", "torch", "numpy", "scikit-learn", "matplotlib", "pydantic", "safetensors")
EXTRAS = {"export": "onnxruntime", "hub": "datasets"}


def matmul_gflops(device: torch.device, dtype: torch.dtype, size: int = 1024, repeats: int = 5) -> float | None:
    """The best rate of a size x size matrix product, in 10^9 floating point operations a second; None: not possible."""
    import torch

    try:
        a = torch.randn(size, size, device=device).to(dtype)
        best = float("inf")
        for _ in range(repeats):
            start = time.perf_counter()
            a @ a
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            best = min(best, time.perf_counter() - start)
    except RuntimeError:
        return None
    return 2 * size**3 / best / 1e9


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def diagnose() -> dict[str, Any]:
    """Versions, device, speed, data folder, extras."""
    import torch

    from zatlas.data.catalog import data_folder
    from zatlas.training import choose_device

    device = choose_device("auto")
    speeds = {name: matmul_gflops(device, kind) for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    folder = data_folder()
    return {
        "versions": {"python": platform.python_version(), **{package: _version(package) for package in PACKAGES}},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device) + (f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""),
        "matmul_gflops": {name: None if speed is None else round(speed, 1) for name, speed in speeds.items()},
        "data_folder": str(folder),
        "extras": {
            name: "installed" if importlib.util.find_spec(module) else f"missing: pip install 'zatlas[{name}]'"
            for name, module in EXTRAS.items()
        },
    }


def table(facts: dict[str, Any]) -> Table:
    """The same for people."""
    from rich.table import Table

    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column()
    for name, value in facts.items():
        shown = "\n".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        made.add_row(name.replace("_", " "), shown)
    return made
