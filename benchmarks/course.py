"""The course notebook's two models, by preset: the test loss they reach, and their time beside the notebook's loop.

python benchmarks/course.py            # both presets, ten epochs, and two epochs of the notebook to time it
python benchmarks/course.py --full     # ten epochs of the notebook too
"""

from __future__ import annotations

import json
import subprocess
import sys

from common import need_shared, parser, show, train

PUBLISHED = {"course-vae": 155.9, "course-cvae": 131.8}


def notebook(conditional: bool, epochs: int) -> dict[str, float]:
    """The last line that the notebook's loop prints."""
    shared = need_shared()
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(shared / "anchors" / "course_vae.py"),
        str(shared / "data" / "mnist"),
    ]
    command += ["--epochs", str(epochs), *(["--conditional"] if conditional else [])]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--full", action="store_true", help="train the notebook for ten epochs as well")
    arguments = options.parse_args()
    rows = []
    for preset, published in PUBLISHED.items():
        epochs = 10 if arguments.full else 2
        anchor = notebook(preset == "course-cvae", epochs)
        done = train("--preset", preset)
        rows.append(
            {
                "preset": preset,
                "test loss": done["test"]["loss"],
                "distortion": done["test"]["distortion"],
                "rate": done["test"]["rate"],
                "published": published,
                "s an epoch": done["train_seconds"] / 10,
                "notebook s an epoch": anchor["train_s"] / epochs,
                "faster": anchor["train_s"] / epochs / (done["train_seconds"] / 10),
                "notebook loss": anchor["test_loss"] if arguments.full else None,
            }
        )
    show("The course models on MNIST, z = 2, grey, ten epochs", rows, arguments.json)


if __name__ == "__main__":
    main()
