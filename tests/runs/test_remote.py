"""Run folders on object storage: what is there after a kill is complete, and what is opened is what is there."""

import json
import shutil
import uuid
from pathlib import Path

import pytest

import zatlas
from zatlas.errors import UsageError, ZatlasError
from zatlas.runs import remote
from zatlas.runs.training import resume

fsspec = pytest.importorskip("fsspec", reason="object storage wants fsspec: pip install 'zatlas[cluster]'")

WORDS = {"steps": 6, "size": "xs", "precision": "fp32", "validations": 2, "verbose": False}


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.setenv("ZATLAS_CACHE", str(tmp_path / "cache"))
    return f"memory://{uuid.uuid4().hex}"


def there(url):
    """The files at a URL and what they hold."""
    files, root = fsspec.core.url_to_fs(url)
    return {path.removeprefix(root).lstrip("/"): files.cat_file(path) for path in files.find(root)}


def forget():
    """Another machine, which has no local copies."""
    shutil.rmtree(remote.default_folder(), ignore_errors=True)


def test_a_run_trained_there_is_opened_and_resumed_on_another_machine(bucket):
    url = f"{bucket}/run"
    loss = zatlas.train("digits", out=url, checkpoint_every_steps=2, **WORDS).folder.record["result"]["loss"]
    names = there(url)
    assert json.loads(names["run.json"])["status"] == "finished"
    local = remote.Mirror(url).local
    assert set(names) == {p.relative_to(local).as_posix() for p in local.rglob("*") if p.is_file()} - {".lock"}
    forget()
    run = zatlas.open(url)
    assert run.test()["loss"] == pytest.approx(loss)
    forget()
    longer = resume(Path(url), changes={"steps": 8, "epochs": None, "seconds": None})  # pathlib takes a slash away
    assert longer.folder.record["steps"] == 8
    assert json.loads(there(url)["run.json"])["steps"] == 8


@pytest.mark.slow
def test_an_upload_that_is_cut_short_leaves_the_last_complete_state(bucket, monkeypatch):
    url = f"{bucket}/run"
    zatlas.train("digits", out=url, **WORDS)
    before, mirror = there(url), remote.Mirror(url)
    files, put, left = mirror.files, mirror.files.put_file, 0

    def put_some(*arguments, **named):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError("the line is cut")
        return put(*arguments, **named)

    monkeypatch.setattr(type(files), "put_file", staticmethod(put_some))
    refused = []
    for cut in (1, 3, 4, 5):
        left = cut
        try:
            resume(Path(url), changes={"steps": 6 + 2 * cut, "epochs": None, "seconds": None})
        except ZatlasError as error:
            refused.append(str(error))
        now = there(url)
        assert len(now) >= len(before)  # nothing goes before what takes its place is there
        elsewhere = remote.Mirror(url)
        elsewhere.local = elsewhere.local.with_name(f"elsewhere-{cut}")
        elsewhere.fetch()
        zatlas.open(elsewhere.local)  # its checkpoints are whole
    assert len(refused) >= 3
    assert all("the line is cut" in sentence for sentence in refused)
    monkeypatch.setattr(type(files), "put_file", staticmethod(put))
    done = resume(Path(url), changes={"steps": 16, "epochs": None, "seconds": None})  # here it is further than there
    assert done.folder.record["steps"] == 16
    assert json.loads(there(url)["run.json"])["steps"] == 16


@pytest.mark.slow
def test_a_study_there_goes_on_on_another_machine(bucket):
    url = f"{bucket}/study"
    asked = {"grid": {"latent_dim": [1, 2]}, "steps": 3, "size": "xs", "workers": 0, "verbose": False, "report": False}
    first = zatlas.study("digits", out=url, **asked)
    trained = {row["run"]: (first.path / row["run"] / "run.json").read_bytes() for row in first.table()}
    forget()
    again = zatlas.study("digits", out=url, **(asked | {"grid": {"latent_dim": [1, 2, 3]}}))
    assert len(again.runs) == 3
    assert all((again.path / run / "run.json").read_bytes() == content for run, content in trained.items())
    assert sum(name.endswith("run.json") for name in there(url)) == 3


def test_what_cannot_be_is_said_in_a_sentence(bucket):
    with pytest.raises(UsageError, match="there is no file system nowhere://"):
        zatlas.open("nowhere://bucket/run")
    with pytest.raises(UsageError, match="is no run and no study"):
        zatlas.open(f"{bucket}/none")
    zatlas.train("digits", out=f"{bucket}/a", **WORDS)
    with pytest.raises(UsageError, match="already holds a run"):
        zatlas.train("digits", out=f"{bucket}/a", **WORDS)


def test_a_missing_library_is_named_with_what_mends_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(ZatlasError, match=r"needs the library fsspec: pip install 'zatlas\[cluster\]'"):
        remote.here("s3://bucket/run")


def test_paths_of_this_machine_are_left_alone(tmp_path):
    assert remote.here(tmp_path) == tmp_path
    assert remote.url_of("hf:owner/name") is None or "://" in str(remote.url_of("hf:owner/name"))


@pytest.fixture
def s3(bucket, monkeypatch, tmp_path):
    """The settings of an S3 without a server: no profile, no credentials, no machine that would hand some out."""
    library = pytest.importorskip("s3fs", reason="S3 wants s3fs: pip install 'zatlas[cluster]'")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    library.S3FileSystem.clear_instance_cache()  # one that is kept has the settings of before
    yield monkeypatch.setenv
    library.S3FileSystem.clear_instance_cache()


@pytest.fixture
def s3_server(s3):
    """A local S3 with one bucket, atlas."""
    server = pytest.importorskip("moto.server", reason="a local S3 wants moto and flask").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    s3("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3("AWS_ACCESS_KEY_ID", "any")
    s3("AWS_SECRET_ACCESS_KEY", "any")
    fsspec.filesystem("s3").makedirs("atlas", exist_ok=True)
    yield
    server.stop()


DOORS = {
    "open": zatlas.open,
    "train": lambda url: zatlas.train("digits", out=url, **WORDS),
    "study": lambda url: zatlas.study("digits", out=url, grid={"beta": [1, 2]}, workers=0, **WORDS),
}


def refusal(url, door):
    """The one sentence that a door ends in."""
    with pytest.raises(ZatlasError) as refused:
        DOORS[door](url)
    said = str(refused.value)
    assert url in said
    assert "\n" not in said
    assert said.endswith(".")
    return said


@pytest.mark.slow
@pytest.mark.parametrize("door", ["open", "train"])
def test_s3_without_credentials_is_refused_in_a_sentence(s3, door):
    assert "AWS_ACCESS_KEY_ID" in refusal("s3://atlas/a", door)


@pytest.mark.slow
def test_an_s3_that_does_not_answer_is_refused_in_a_sentence(s3):
    s3("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # where nobody listens
    s3("AWS_ACCESS_KEY_ID", "any")
    s3("AWS_SECRET_ACCESS_KEY", "any")
    s3("AWS_MAX_ATTEMPTS", "1")
    assert "see whether it is reachable" in refusal("s3://atlas/a", "open")


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
def test_a_bucket_that_does_not_exist_is_refused_in_a_sentence(s3_server, door):
    assert "make the bucket first" in refusal("s3://nobucket/a", door)


@pytest.mark.slow
def test_a_run_on_s3(s3_server):
    zatlas.train("digits", out="s3://atlas/runs/a", checkpoint_every_steps=2, **WORDS)
    assert {"run.json", "config.toml", "metrics.jsonl"} <= there("s3://atlas/runs/a").keys()
    forget()
    assert zatlas.open("s3://atlas/runs/a").step == 6
