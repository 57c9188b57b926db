"""What a user waits for: `zatlas --help`, `import zatlas`, and the memory of an MNIST training.

python benchmarks/startup.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from common import ZATLAS, median, need_shared, parser, show


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def peak_megabytes(command: list[str], environment: dict[str, str]) -> float:
    """Largest resident size of a child, asked of the system when it ends."""
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, status
    return usage.ru_maxrss / (1 if sys.platform == "darwin" else 1024) / (1024 if sys.platform == "darwin" else 1)


def main() -> None:
    arguments = parser(__doc__ or "").parse_args()
    repeats = range(max(5, arguments.repeats))
    environment = {**os.environ, "ZATLAS_DATA": str(need_shared() / "data")}
    bare = median(seconds([sys.executable, "-c", "pass"]) for _ in repeats)
    with tempfile.TemporaryDirectory() as folder:
        command = [*ZATLAS, "train", "mnist", "--epochs", "1", "--out", f"{folder}/run", "-q"]
        megabytes = peak_megabytes(command, environment)
    rows = [
        {"what": "python -c pass", "figure": bare, "unit": "s"},
        {
            "what": "import zatlas",
            "figure": median(seconds([sys.executable, "-c", "import zatlas"]) for _ in repeats),
            "unit": "s",
        },
        {"what": "zatlas --help", "figure": median(seconds([*ZATLAS, "--help"]) for _ in repeats), "unit": "s"},
        {"what": "zatlas train mnist, peak memory", "figure": megabytes, "unit": "MB"},
    ]
    show("Start and memory (medians)", rows, arguments.json)


if __name__ == "__main__":
    main()
