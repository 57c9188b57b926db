"""The server: who may ask, what is refused and how, and that it lives on."""

from __future__ import annotations

import json
import os
import random
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from zatlas.errors import UsageError, ZatlasError
from zatlas.explorer import server
from zatlas.explorer.launch import listen, serving
from zatlas.explorer.packing import unpack

TOKEN, HOST = "a-token-for-tests", "127.0.0.1:8000"
CASES = int(os.environ.get("ZATLAS_FUZZ_CASES", "400"))


@pytest.fixture(scope="module")
def client(explored: Any) -> Any:
    app = server.application({"a": explored}, TOKEN, [HOST, "localhost:8000"])
    with TestClient(app, base_url=f"http://{HOST}", headers={"X-Zatlas-Token": TOKEN}) as client:
        yield client


def decode(client: Any, **more: Any) -> Any:
    return client.post("/api/runs/a/decode", json={"z": [[0.1, 0.2]]}, **more)


def test_a_question_with_the_token_is_answered(client: Any) -> None:
    response = decode(client)
    assert response.status_code == 200
    assert unpack(response.content)[1]["mean"].shape == (1, 1, 8, 8)
    assert client.get("/api/runs").json() == {"runs": [{"id": "a", "name": "plain"}]}


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/assets/app.css", "/assets/icon.svg"])
def test_the_page_and_its_assets_are_served_under_a_strict_policy(client: Any, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "é"])
def test_another_token_is_refused(client: Any, token: str) -> None:
    response = decode(client, headers={"X-Zatlas-Token": token.encode()})
    assert response.status_code == 401
    assert "token" in response.json()["error"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:8001", "localhost.evil.example:8000", ""])
def test_another_host_is_refused_so_that_no_name_can_be_rebound(client: Any, host: str) -> None:
    for response in (decode(client, headers={"Host": host}), client.get("/", headers={"Host": host})):
        assert response.status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:8001"])
def test_another_origin_is_refused(client: Any, origin: str) -> None:
    assert decode(client, headers={"Origin": origin}).status_code == 403
    assert decode(client, headers={"Origin": f"http://{HOST}"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../server.py",
        "/assets/%2e%2e/server.py",
        "/assets/BUILD.json",
        "/assets/index.html",
        "/run.json",
        "/api/runs/b/decode",
        "/api/runs/a/ask",
        "/api/runs/a/__class__",
    ],
)
def test_nothing_else_is_served(client: Any, path: str) -> None:
    assert client.get(path).status_code in (404, 405)
    assert client.post(path, json={}).status_code in (404, 405)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: Any) -> None:
    assert client.post("/api/runs/a/decode", content=b" " * (server.LARGEST_BODY + 1)).status_code == 413

    def endless() -> Any:
        for _ in range(server.LARGEST_BODY // 2**20 + 2):
            yield b" " * 2**20

    assert client.post("/api/runs/a/decode", content=endless()).status_code == 413


def test_too_many_questions_at_once_are_refused(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_AT_ONCE", 0)
    response = decode(client)
    assert response.status_code == 503
    assert "waiting" in response.json()["error"]


def test_an_unforeseen_failure_is_a_sentence_and_not_a_traceback(
    client: Any, explored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("the decoder\nwent away")

    monkeypatch.setattr(explored, "ask", fail)
    response = decode(client)
    assert response.status_code == 500
    assert response.json() == {"error": "the run cannot answer that (the decoder)."}


def _random_value(rng: random.Random, depth: int = 0) -> Any:
    kinds = [
        lambda: rng.choice([None, True, False, 0, 1, -1, 2**31, 2**63, -(2**70), 1e308, 1e-320, 0.5]),
        lambda: rng.choice(["", "z", "a" * 5000, "\u202e\x00", "<script>", "../../etc/passwd", "１", "NaN"]),
        lambda: rng.uniform(-1e7, 1e7),
    ]
    if depth < 4:
        kinds.append(lambda: [_random_value(rng, depth + 1) for _ in range(rng.randint(0, 4))])
        kinds.append(lambda: {rng.choice(NAMES): _random_value(rng, depth + 1) for _ in range(rng.randint(0, 3))})
    return rng.choice(kinds)()


NAMES = ("z", "labels", "label", "image", "rows", "codes", "path", "n", "with", "without", "name", "save", "since", "x")
QUICK = (
    "decode",
    "encode",
    "distortion",
    "examples",
    "sample",
    "status",
    "directions",
    "about",
    "jacobian",
    "nothing",
    "",
)


def _request(rng: random.Random) -> tuple[str, str, bytes, dict[str, Any]]:
    body: bytes
    kind = rng.randrange(6)
    if kind == 0:
        body = rng.randbytes(rng.randint(0, 300))
    elif kind == 1:
        body = b"[" * rng.randint(1, 100_000)
    elif kind == 2:
        body = json.dumps(
            {"z": [[rng.choice([0, 1.5, "a", None, 1e300, -0.0]) for _ in range(rng.randint(0, 3))]]}
        ).encode()
    else:
        body = json.dumps({rng.choice(NAMES): _random_value(rng) for _ in range(rng.randint(0, 4))}).encode()
        if kind == 5 and body:
            at = rng.randrange(len(body))
            body = body[:at] + rng.randbytes(1) + body[at + 1 :]
    path = f"/api/runs/{rng.choice(['a', 'a', 'a', 'b', '%00', '..'])}/{rng.choice(QUICK)}"
    headers: dict[str, Any] = {}
    if rng.random() < 0.15:
        headers[rng.choice(["Host", "Origin", "X-Zatlas-Token", "Content-Type", "Content-Length", "Accept"])] = (
            rng.choice(["", "x", "é".encode(), "127.0.0.1:8000", "-1", "9" * 50, "null"])
        )
    return rng.choice(["POST", "POST", "POST", "GET", "PUT", "DELETE"]), path, body, headers


@pytest.mark.parametrize("seed", [0])
def test_whatever_is_sent_there_is_an_answer_and_the_server_lives_on(client: Any, seed: int) -> None:
    rng = random.Random(seed)
    for case in range(CASES):
        method, path, body, headers = _request(rng)
        response = client.request(method, path, content=body, headers=headers)
        assert response.status_code == 200 or 400 <= response.status_code < 500, (seed, case, path, body[:200])
        if response.status_code != 200:
            sentence = response.json()["error"]
            assert sentence.endswith((".", "…"))
            assert "\n" not in sentence
            assert "Traceback" not in sentence
    assert decode(client).status_code == 200


@pytest.mark.slow
def test_bytes_that_are_no_http_end_nothing(serve: Any, explored: Any) -> None:
    from urllib.request import urlopen

    address = serve(explored)
    port = int(address.split(":")[2].split("/")[0])
    rng = random.Random(1)
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
            one.sendall(
                rng.choice([rng.randbytes(200), b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 3000, b"POST / HTTP/9\r\n\r\n"])
            )
    with urlopen(address, timeout=5) as response:
        assert response.status == 200


def test_a_port_in_use_is_a_sentence() -> None:
    with listen(None) as taken, pytest.raises(ZatlasError, match="give another --port"):
        listen(taken.getsockname()[1])


def test_only_this_machine_is_listened_to_and_the_token_is_in_the_address(explored: Any) -> None:
    first, second = serving([explored]), serving([explored])
    assert first.socket.getsockname()[0] == "127.0.0.1"
    assert first.address.split("token=")[1] != second.address.split("token=")[1]
    assert len(first.address.split("token=")[1]) >= 32
    for one in (first, second):
        one.socket.close()


def test_more_than_two_runs_are_refused(explored: Any) -> None:
    with pytest.raises(UsageError, match="side by side"):
        serving([explored] * 3)


def test_a_run_deleted_while_open_says_so_and_still_decodes(tmp_path: Path, plain_run: Path) -> None:
    import shutil

    from zatlas.explorer.asking import open_explored

    copy = tmp_path / "gone"
    shutil.copytree(plain_run, copy)
    app = server.application({"a": open_explored(copy, device="cpu")}, TOKEN, [HOST])
    with TestClient(app, base_url=f"http://{HOST}", headers={"X-Zatlas-Token": TOKEN}) as client:
        shutil.rmtree(copy)
        assert decode(client).status_code == 200
        response = client.post("/api/runs/a/status", json={})
        assert response.status_code == 400
        assert "no run" in response.json()["error"]


def test_hostile_labels_come_as_text(tmp_path: Path) -> None:
    from tests.hostile import NAMES as hostile
    from zatlas.config import make_config
    from zatlas.explorer.asking import open_explored
    from zatlas.runs.training import train

    x = np.random.default_rng(0).integers(0, 256, (90, 1, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.array([hostile[i % len(hostile)] for i in range(90)]))
    values = {"data": {"source": str(tmp_path / "data.npz")}, "model": {"network": "mlp", "size": "xs"}}
    run = train(make_config(("test", {**values, "training": {"steps": 3}})), out=tmp_path / "<img src=x>")
    del run
    facts = unpack(open_explored(tmp_path / "<img src=x>", device="cpu").ask("about", {}))[0]
    assert facts["name"] == "<img src=x>"
    assert "<script>alert(1)</script>" in facts["labels"]["names"]
    assert not any("\x1b" in name or "\u202e" in name for name in facts["labels"]["names"])  # written out
