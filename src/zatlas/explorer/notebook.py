"""The explorer in a notebook: a widget, or the page of a server in this process, in a frame."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from zatlas.errors import UsageError
from zatlas.explorer.asking import Explored

if TYPE_CHECKING:
    from zatlas.explorer.launch import Serving
    from zatlas.runs.opened import Run

MOST_RUNS = 2


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


def explore(runs: Sequence[Run], *, height: int = 720, port: int | None = None) -> Any:
    """One run, or two side by side, in a notebook: a widget where anywidget is installed, and else a :class:`Frame`.

    The widget is answered over the notebook's own connection, so that the kernel may be on another machine. The frame
    is served from this process, for a browser on this machine.

    Args:
        runs: opened runs.
        height: in pixels.
        port: to serve a frame from, also where there are widgets; 0: any free one.

    Raises:
        UsageError: none, or more than two.
        ZatlasError: the port is in use, the data are gone, or neither anywidget nor what a server needs is installed.
    """
    if not 1 <= len(runs) <= MOST_RUNS:
        raise UsageError(f"the explorer shows one run, or {MOST_RUNS} side by side, not {len(runs)}.")
    explored = [Explored(run) for run in runs]
    for one in explored:
        one.warm()
    if port is None and find_spec("anywidget"):
        from zatlas.explorer.widget import Explorer

        return Explorer(explored, height)
    from zatlas.explorer.launch import serving

    return Frame(serving(explored, port).start(), height)
