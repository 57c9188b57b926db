"""The explorer in a notebook: the page of a server in this process, in a frame."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zatlas.explorer.asking import Explored
from zatlas.explorer.launch import Serving, serving

if TYPE_CHECKING:
    from zatlas.runs.opened import Run


@dataclass(frozen=True, eq=False)
class Frame:
    """What a notebook shows of a server in this process; elsewhere it is an address.

    Attributes:
        serving: the server, which ends with the process or by :meth:`stop`.
        height: of the frame, in pixels.
    """

    serving: Serving
    height: int

    @property
    def address(self) -> str:
        """With the token; for a browser on this machine."""
        return self.serving.address

    def stop(self) -> None:
        """Ends the server."""
        self.serving.stop()

    def __repr__(self) -> str:
        return f"<explorer at {self.address}>"

    def _repr_html_(self) -> str:
        source = html.escape(self.address, quote=True)
        style = "width:100%;border:1px solid #ccc;border-radius:8px"
        return (
            f'<iframe src="{source}" style="{style}" height="{self.height}" title="zatlas explorer" '
            'allow="camera; clipboard-write"></iframe>'
        )


def explore(runs: Sequence[Run], *, height: int = 720, port: int | None = None) -> Frame:
    """Serves one run, or two side by side, from this process.

    Args:
        runs: opened runs.
        height: of the frame, in pixels.
        port: None: any free one.

    Raises:
        UsageError: none, or more than two.
        ZatlasError: the port is in use, or the data are gone.
    """
    explored = [Explored(run) for run in runs]
    for one in explored:
        one.warm()
    return Frame(serving(explored, port).start(), height)
