"""`zatlas explore`: the server on this machine, and the browser sent to it."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zatlas.errors import UsageError, ZatlasError
from zatlas.explorer.asking import Explored, open_explored
from zatlas.explorer.server import application

try:
    import uvicorn
except ImportError:
    raise ZatlasError(
        "the explorer needs the libraries starlette and uvicorn: pip install 'zatlas[explore]'."
    ) from None

HOST = "127.0.0.1"
MOST_RUNS = 2


@dataclass(frozen=True, eq=False)
class Serving:
    """A server that listens: its address with the token, and what runs and stops it."""

    address: str
    server: uvicorn.Server
    socket: socket.socket

    def run(self) -> None:
        """Serves until it is stopped or interrupted."""
        self.server.run(sockets=[self.socket])

    def start(self) -> Serving:
        """Serves from a thread that ends with the process."""
        threading.Thread(target=self.run, daemon=True, name="zatlas explorer").start()
        return self

    def stop(self) -> None:
        """Ends the server within a second."""
        self.server.should_exit = True


def listen(port: int | None) -> socket.socket:
    """A socket on this machine alone; None or 0: of any free port.

    Raises:
        ZatlasError: the port is in use, or may not be used.
    """
    # TCP by name, or asyncio does not switch Nagle's algorithm off and every answer waits 40 ms
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port or 0))
        listening.listen(256)
    except (OSError, OverflowError) as error:
        listening.close()
        raise ZatlasError(
            f"port {port} on {HOST} cannot be had ({getattr(error, 'strerror', None) or error}): give another --port, "
            "or leave it out."
        ) from None
    return listening


def serving(explored: Sequence[Explored], port: int | None = None, token: str | None = None) -> Serving:
    """A server for some runs, which listens and is not yet run.

    Raises:
        UsageError: none, or more than two.
        ZatlasError: the port is in use.
    """
    if not 1 <= len(explored) <= MOST_RUNS:
        raise UsageError(f"the explorer shows one run, or {MOST_RUNS} side by side, not {len(explored)}.")
    listening = listen(port)
    port = listening.getsockname()[1]
    token = token or secrets.token_urlsafe(24)
    runs = dict(zip("ab", explored, strict=False))
    hosts = [f"{HOST}:{port}", f"localhost:{port}"]
    app = application(runs, token, hosts)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=512,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=2**16,
        ws="none",
        http="h11",
        loop="asyncio",
    )
    return Serving(f"http://{HOST}:{port}/?token={token}", uvicorn.Server(config), listening)


def explore(
    folders: Sequence[Path],
    *,
    port: int | None = None,
    browser: bool = True,
    device: str = "auto",
    data: str | None = None,
    say: Callable[[str], None] = print,
    ready: Callable[[str], Any] = lambda address: None,
) -> None:
    """Serves the page for one run, or two side by side, until it is interrupted.

    Args:
        folders: of the runs.
        port: None: any free one.
        browser: send the reader's browser there.
        device: where the models go.
        data: other data than the runs' own.
        say: is given sentences.
        ready: is given the address.

    Raises:
        UsageError, ZatlasError: a run that is not there or damaged, a port in use.
    """
    if len(folders) > MOST_RUNS:
        raise UsageError(f"the explorer shows one run, or {MOST_RUNS} side by side, not {len(folders)}.")
    served = serving([open_explored(folder, device=device, data=data, say=say) for folder in folders], port)
    ready(served.address)
    opened = False
    if browser:
        with suppress(webbrowser.Error, OSError):
            opened = webbrowser.open(served.address)
    mend = "" if opened or not browser else " No browser could be opened here: open the address in one on this machine."
    say(f"The explorer is at {served.address}{mend} Ctrl-C ends it.")
    served.run()
