"""The local server behind the page: the page's own files, and questions to the runs that were named.

Who may ask: whoever has the token that `zatlas explore` prints. The Host header must be this server's own address, or
another site whose name is made to lead here (DNS rebinding) could ask through the reader's browser; the Origin header,
where there is one, must be this server's too. Nothing else is served: no paths are looked up on disk.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from zatlas.errors import UsageError, ZatlasError, one_line
from zatlas.explorer.asking import QUESTIONS, Explored
from zatlas.explorer.bundle import static

try:
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError:
    raise ZatlasError(
        "the explorer needs the libraries starlette and uvicorn: pip install 'zatlas[explore]'."
    ) from None

LARGEST_BODY = 16 * 2**20  # a group of 200,000 rows and an image of 3 x 1024 x 1024 fit
MOST_AT_ONCE = 128  # questions that wait for an answer
SECONDS = 30  # for a body to arrive

ASSETS = {"app.js": "text/javascript", "app.css": "text/css", "icon.svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; media-src 'self' blob: mediastream:; worker-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _Refused(Exception):
    """An answer that is a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Answers:
    """Answers questions to some runs on two threads: decoding on the first, what takes seconds on the other.

    Args:
        runs: by the short name that the page calls them.
    """

    def __init__(self, runs: dict[str, Explored]) -> None:
        self.runs = runs
        self._fast = ThreadPoolExecutor(1, "decode")
        self._slow = ThreadPoolExecutor(1, "measure")
        self.waiting = 0

    async def ask(self, run: str, name: str, values: Any) -> bytes:
        """The packed answer."""
        if run not in self.runs:
            raise _Refused(404, "there is no such run here.")
        if name not in QUESTIONS:
            raise _Refused(404, "there is no such question.")
        if self.waiting >= MOST_AT_ONCE:
            raise _Refused(503, f"{MOST_AT_ONCE} questions are waiting already: ask again in a second.")
        self.waiting += 1
        try:
            thread = self._slow if QUESTIONS[name].slow else self._fast
            return await asyncio.get_running_loop().run_in_executor(thread, self.runs[run].ask, name, values)
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Lets no new question in; what is being worked on is given up with the process."""
        for pool in (self._fast, self._slow):
            pool.shutdown(wait=False, cancel_futures=True)


def application(runs: dict[str, Explored], token: str, hosts: Sequence[str]) -> Starlette:
    """The application.

    Args:
        runs: by the short name that the page calls them.
        token: that every question must carry in the header ``X-Zatlas-Token``.
        hosts: what the Host header may say, as ``127.0.0.1:8123``.
    """
    site = _Site(Answers(runs), token, hosts)
    routes = [
        Route("/", _guarded(site.page), methods=["GET"]),
        Route("/assets/{name}", _guarded(site.asset), methods=["GET"]),
        Route("/api/runs", _guarded(site.listed), methods=["GET"]),
        Route("/api/runs/{run}/{question}", _guarded(site.ask), methods=["POST"]),
    ]
    missing = {404: _plain(404, "there is no such page."), 405: _plain(405, "that is not asked in this way.")}
    return Starlette(routes=routes, exception_handlers=missing, lifespan=_closing(site.close))


class _Site:
    """What is served, and to whom."""

    def __init__(self, answers: Answers, token: str, hosts: Sequence[str]) -> None:
        self.answers, self.token, self.hosts = answers, token, hosts
        self.origins = {f"http://{host}" for host in hosts}

    def check(self, request: Request, *, token_wanted: bool) -> None:
        """Refuses another host, another origin and, where it is wanted, another token."""
        if request.headers.getlist("host") not in [[host] for host in self.hosts]:
            raise _Refused(403, f"the Host header is not this server's: open http://{self.hosts[0]}.")
        if any(origin not in self.origins for origin in request.headers.getlist("origin")):
            raise _Refused(403, "the Origin header is another site's, which may not ask here.")
        if token_wanted:
            given = request.headers.get("x-zatlas-token", "")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                raise _Refused(401, "the token is missing or wrong: open the address that zatlas explore printed.")

    async def page(self, request: Request) -> Response:
        self.check(request, token_wanted=False)
        return Response(static("index.html"), media_type="text/html")

    async def asset(self, request: Request) -> Response:
        self.check(request, token_wanted=False)
        name = request.path_params["name"]
        if name not in ASSETS:
            raise _Refused(404, "there is no such file.")
        return Response(static(name), media_type=ASSETS[name])

    async def listed(self, request: Request) -> Response:
        self.check(request, token_wanted=True)
        names = [{"id": key, "name": explored.run.folder.name} for key, explored in self.answers.runs.items()]
        return Response(json.dumps({"runs": names}), media_type="application/json")

    async def ask(self, request: Request) -> Response:
        self.check(request, token_wanted=True)
        content = await _body(request)
        try:
            values = json.loads(content) if content else {}
        except (ValueError, RecursionError):
            raise _Refused(400, "the question is no JSON.") from None
        found = await self.answers.ask(request.path_params["run"], request.path_params["question"], values)
        return Response(found, media_type="application/octet-stream")

    async def close(self) -> None:
        self.answers.close()


async def _body(request: Request) -> bytes:
    """What was sent, as long as it is neither too large nor too slow."""
    size = request.headers.get("content-length", "0")
    if not size.isdigit() or len(size) > 12 or int(size) > LARGEST_BODY:
        raise _Refused(413, f"a question has at most {LARGEST_BODY // 2**20} MB.")
    found = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                found += part
                if len(found) > LARGEST_BODY:
                    raise _Refused(413, f"a question has at most {LARGEST_BODY // 2**20} MB.")
    except TimeoutError:
        raise _Refused(408, f"the question did not arrive within {SECONDS} seconds.") from None
    return bytes(found)


def _closing(close: Callable[[], Awaitable[None]]) -> Any:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        yield
        await close()

    return lifespan


def _plain(status: int, sentence: str) -> Any:
    async def handler(request: Request, error: Exception) -> Response:
        return _said(status, sentence)

    return handler


def _said(status: int, sentence: str) -> Response:
    return Response(json.dumps({"error": one_line(sentence)}), status, HEADERS, "application/json")


def _guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Every failure as a status and one sentence."""

    async def guarded(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except _Refused as refused:
            return _said(refused.status, refused.sentence)
        except UsageError as error:
            return _said(400, str(error))
        except ZatlasError as error:
            return _said(409, str(error))
        except ClientDisconnect:
            return _said(400, "the question was cut short.")
        except (MemoryError, RuntimeError, ValueError, OSError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return _said(500, f"the run cannot answer that ({lines[0][:200]}).")
        response.headers.update(HEADERS)
        return response

    return guarded
