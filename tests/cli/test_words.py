"""Whatever a person types wrong is answered by one sentence that says what mends it, with status 2; bad data with 1."""

import numpy as np
import pytest

QUICK = ("--size", "xs", "--steps", 2, "--set", "training.threads=1", "--set", "training.precision=fp32")


def one_sentence(answer, status):
    """stdout empty, one line on stderr that begins with the program's name and ends as a sentence, no traceback."""
    assert answer.status == status, answer.err
    assert answer.out == ""
    lines = answer.err.strip().splitlines()
    assert "Traceback" not in answer.err
    assert lines[-1].startswith("zatlas: "), answer.err
    assert sum(line.startswith("zatlas: ") for line in lines) == 1
    assert lines[-1][-1] in ".?", lines[-1]
    return lines[-1]


WRONG_WORDS = [
    (["train"], "say what to train on"),
    (["train", ""], "say what to train on"),
    (["train", "digit"], "there is no data called 'digit'; did you mean digits?"),
    (["train", "there/is/none"], "there is no file or folder there/is/none"),
    (["train", "digits", "--preset", "course"], "there is no preset 'course'; did you mean course-"),
    (["train", "digits", "--network", "convv"], "network.kind cannot be 'convv'; did you mean conv?"),
    (["train", "digits", "--model", "vea"], "model.kind cannot be 'vea'; did you mean vae?"),
    (["train", "digits", "--size", "xxl"], "network.size cannot be 'xxl'; known are xs, s, m, l."),
    (["train", "digits", "-z", "0"], "model.latent_dim: Input should be greater than or equal to 1 (given: 0)"),
    (["train", "digits", "--beta", "0"], "objective.beta: Input should be greater than 0 (given: 0.0)"),
    (["train", "digits", "--beta", "-1"], "objective.beta: Input should be greater than 0 (given: -1.0)"),
    (["train", "digits", "--beta", "nan"], "objective.beta"),
    (["train", "digits", "--batch-size", "0"], "training.batch_size: Input should be greater than or equal to 1"),
    (["train", "digits", "--lr", "0"], "training.learning_rate: Input should be greater than 0"),
    (["train", "digits", "--epochs", "0"], "training.epochs"),
    (["train", "digits", "--seconds", "-1"], "training.seconds"),
    (["train", "digits", "--seed", "-1"], "training.seed"),
    (
        ["train", "digits", "--seed", str(10**26)],
        "seed 100000000000000000000000000 is too large: whole numbers go up to",
    ),
    (
        ["train", "digits", "--set", f"data.split_seed={10**26}"],
        "data.split_seed: Input should be less than",
    ),
    (["train", "digits", "--resize", "100000"], "data.resize: Input should be less than or equal to 65536"),
    (["train", "digits", "--resize", "9" * 5000], "--resize wants pixels"),
    (["train", "digits", "--labels", "~nouser/y.txt"], "the home folder in ~nouser/y.txt cannot be found"),
    (["train", "~nouser/x.npz"], "the home folder in ~nouser/x.npz cannot be found"),
    (["data", "info", "digits", "--channels", str(10**26)], "channels 100000000000000000000000000 is too large"),
    (["sample", "RUN", "--seed", str(10**26)], "seed 100000000000000000000000000 is too large"),
    (["manifold", "RUN", "-n", str(10**26)], "n 100000000000000000000000000 is too large"),
    (["traverse", "RUN", "--row", str(10**26)], "row 100000000000000000000000000 is too large"),
    (["data", "info", "a\udcff.npz"], "holds bytes that are not UTF-8: rename"),
    (["train", "digits", "--precision", "fp16"], "training.precision cannot be 'fp16'; did you mean bf16?"),
    (["train", "digits", "--device", "abacus"], "no device 'abacus'"),
    (["train", "digits", "--binarise", "maybe"], "data.binarise cannot be 'maybe'"),
    (["train", "digits", "--likelihood", "gauss"], "likelihood.kind cannot be 'gauss'"),
    (["train", "digits", "--channels", "2"], "data.channels"),
    (["train", "digits", "--resize", "0"], "--resize wants pixels, as 64 or 64x48, and '0' is not that"),
    (["train", "digits", "--resize", "abc"], "--resize wants pixels, as 64 or 64x48, and 'abc' is not that"),
    (["train", "digits", "--resize", "²"], "--resize wants pixels, as 64 or 64x48, and '²' is not that"),
    (["train", "digits", "--crop", "1x2x3"], "--crop wants pixels, as 64 or 64x48, and '1x2x3' is not that"),
    (["train", "digits", "--set", "training.epochs"], "--set wants section.key=value, and 'training.epochs' is not"),
    (["train", "digits", "--set", "epochs=3"], "--set wants section.key=value"),
    (["train", "digits", "--set", "data.sourcee=x"], "there is no data.sourcee; did you mean data.source?"),
    (["train", "digits", "--set", "modell.kind=vae"], "there is no modell; did you mean model?"),
    (["train", "digits", "--set", "training.seed=one"], "--set training.seed=one: training.seed"),
    (["train", "digits", "--config", "none.toml"], "the configuration none.toml cannot be read"),
    (["train", "digits", "--config", "bad.toml"], "the configuration bad.toml is not valid TOML"),
    (["train", "digits", "--config", "."], "the configuration . cannot be read"),
    (["train", "digits", "--config", "flat.toml"], "flat.toml: training"),
    (["train", "digits", "--config", "flat.toml", "--epochs", "1"], "flat.toml: training"),
    (
        ["train", "digits", "--config", "key.toml"],
        "key.toml: there is no training.epoch; did you mean training.epochs?",
    ),
    (["train", "digits", "--model", "ae", "--beta", "4"], "objective.beta weighs the rate, and an ae has none"),
    (
        ["train", "digits", "--model", "ae", "--set", "objective.capacity_nats=5"],
        "objective.capacity_nats needs a rate",
    ),
    (["train", "digits", "--set", "model.prior=conditional"], "prior.kind = 'conditional' goes with"),
    (["train", "digits", "--network", "course-conv"], "the course-conv network is made for 1x28x28 images"),
    (["train", "digits", "--patience", "2", "--set", "data.validation=0"], "watch validation data"),
    (["train", "digits", "--labels", "x"], "digits has labels of its own"),
    (["train", "plain.npy", "--model", "cvae"], "these data have no labels: choose vae"),
    (["train", "one.npz", "--model", "cvae"], "only one class"),
    (["train", "--resume", "none"], "none is no run"),
    (["evaluate", "none"], "none is no run: it holds no run.json; `zatlas train` makes one"),
    (["report", "."], ". is no run"),
    (["decode", "RUN", "none.npy"], "there is no file none.npy"),
    (["train", "digits", "--out", "full"], "full is not empty (it holds mine.txt): give another --out"),
    (["train", "digits", "--out", "RUN"], "already holds a run: go on with `zatlas train --resume"),
    (["train", "--resume", "RUN", "--model", "ae"], "so --model cannot be given"),
    (["train", "--resume", "RUN", "--set", "training.seed=1"], "so --set cannot be given"),
    (["train", "--resume", "RUN", "--out", "there"], "so --out cannot be given"),
    (["train", "--resume", "RUN", "--lr", "1"], "so --learning-rate cannot be given"),
    (["train", "--resume", "RUN", "--steps", "0"], "training.steps: Input should be greater than or equal to 1"),
    (["sample", "RUN", "--label", "3"], "is not conditional, so it takes no label"),
    (["sample", "AE", "--prior", "mixtures"], "there is no ex-post prior 'mixtures'; did you mean mixture?"),
    (["sample", "CVAE", "--label", "99"], "there is no class '99'"),
    (["evaluate", "RUN", "--split", "tset"], "there is no split 'tset'; did you mean test?"),
    (["evaluate", "RUN", "--split", "count"], "there is no split 'count'"),
    (
        ["evaluate", "RUN", "--checkpoint", "step-00000099"],
        "has no checkpoint 'step-00000099'; did you mean step-00000",
    ),
    (["evaluate", "RUN", "--device", "abacus"], "no device 'abacus'"),
    (["evaluate", "RUN", "--data", "plain.npy"], "and the model wants"),
    (["traverse", "RUN", "--out", "walk.mp4"], "walk.mp4 cannot be written: give a name in .png"),
    (["manifold", "RUN", "--out", "plane.gif"], "manifold does not move"),
    (["interpolate", "RUN", "--rows", "3,99999"], "there is no row 99999: digits has rows 0 to 1796"),
    (["interpolate", "RUN", "--path", "spherica"], "there is no path 'spherica'; did you mean spherical?"),
    (["scatter", "RUN", "--by", "lable"], "there is no label or factor 'lable'; did you mean label?"),
    (["describe", "RUN", "--units", "7"], "there is no unit 7: this model has units 1 to 2"),
    (["direction", "centroid", "RUN", "--label", "11"], "digits has no class '11'; did you mean 1?"),
    (["direction", "attribute", "RUN", "--with", "rows:5"], "a direction wants two or more on each side"),
    (["direction", "apply", "RUN", "smiling"], "has no direction 'smiling'"),
    (["relabel", "RUN", "--to", "12"], "there is no class '12'; did you mean 2?"),
    (["agree", "RUN"], "name at least two runs"),
    (["compare", "RUN", "--curve", "priors"], "did you mean prior?"),
    (["classifier", "digit"], "there is no data called 'digit'; did you mean digits?"),
    (["import", "none.pt", "--from", "disvae"], "there is no file none.pt"),
    (["explain", "kl", "--p", "0.5,0.6", "--q", "0.5,0.5"], "the probabilities of P sum to 1.1, not to 1"),
    (["manifold", "RUN", "--spacing", "odd"], "--spacing is even or quantile, not 'odd'"),
    (["manifold", "RUN", "--units", "1"], "--units wants 2 numbers such as 1,2"),
    (["manifold", "RUN", "--units", "1,9"], "there is no unit 9: this model has units 1 to 2"),
    (["traverse", "RUN", "--units", "1,²"], "--units wants some numbers"),
    (["traverse", "RUN", "--row", "5000"], "there is no row 5000"),
    (["data", "info", "digit"], "there is no data called 'digit'; did you mean digits?"),
    (["data", "info", "digits", "--channels", "2"], "channels 2 must be 1 (grey) or 3 (RGB)"),
    (["data", "fetch", "mnits"], "mnist"),
]


@pytest.mark.parametrize(("words", "says"), WRONG_WORDS, ids=[" ".join(words) for words, _ in WRONG_WORDS])
def test_wrong_words(words, says, zatlas, files, plain_runs, digits_run):
    places = {"RUN": plain_runs / "vae", "AE": plain_runs / "ae", "CVAE": digits_run}
    words = [places.get(word, word) for word in words]
    answer = zatlas(
        *words,
        *(
            QUICK[:2]
            if words[0] == "train" and "--resume" not in words and not {"--size", "course-conv"} & {*words}
            else ()
        ),
    )
    assert says in one_sentence(answer, 2)
    assert not (files / "runs").exists()
    assert not list((files / "full").glob(".*"))  # not even a lock in somebody else's folder


BAD_DATA = [
    (["train", "pickled.npy"], "never unpickles"),
    (["train", "constant.npy"], "all 20 examples are the same"),
    (["train", "nan.npy"], "holds nan"),
    (["train", "empty.npy"], "there are no rows"),
    (["train", "short.npz"], "labels"),
    (["train", "junk.npz"], "junk.npz cannot be read"),
    (["train", "nothing/"], "nothing"),
    (["train", "plain.npy", "--set", "data.test=10", "--set", "data.validation=10"], "none to train on"),
    (["decode", "RUN", "wide.npy"], "wide.npy holds codes of shape [3, 5], and this model wants [N, 2]"),
    (["decode", "RUN", "pickled.npy"], "pickled.npy holds Python objects"),
    (["decode", "RUN", "pickled.npz"], "pickled.npz: the array z holds Python objects"),
    (["decode", "RUN", "junk.npz"], "junk.npz cannot be read"),
    (["decode", "RUN", "words.npy"], "where numbers are wanted"),
    (["decode", "RUN", "nan.npz"], "nan.npz holds NaN or infinity"),
    (["decode", "RUN", "short.npz"], "codes are looked for under z, mean or codes"),
    (["decode", "RUN", "."], ". is a folder: give a file"),
    (["decode", "CVAE", "labelled.npz"], "holds labels of shape [3, 4], and these codes want [3, 10]"),
]


@pytest.mark.parametrize(("words", "says"), BAD_DATA, ids=[" ".join(words) for words, _ in BAD_DATA])
def test_bad_data(words, says, zatlas, files, plain_runs, digits_run):
    places = {"RUN": plain_runs / "vae", "CVAE": digits_run}
    answer = zatlas(*[places.get(word, word) for word in words], *(QUICK if words[0] == "train" else ()))
    assert says in one_sentence(answer, 1)


@pytest.fixture
def files(elsewhere):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 6, 6), dtype=np.uint8)
    np.save("plain.npy", images)
    np.save("pickled.npy", np.array([print, None], dtype=object))
    np.save("constant.npy", np.zeros((20, 6, 6), np.uint8))
    np.save("nan.npy", np.full((20, 6), np.nan))
    np.save("empty.npy", np.zeros((0, 6, 6), np.uint8))
    np.save("wide.npy", np.zeros((3, 5)))
    np.save("words.npy", np.array([["a", "b"]]))
    np.savez("one.npz", images=images, labels=np.zeros(20, int))
    np.savez("short.npz", images=images, labels=np.arange(7))
    np.savez("nan.npz", z=np.array([[np.nan, 0]]))
    np.savez("pickled.npz", z=np.array([[print, None]], dtype=object))
    np.savez("labelled.npz", z=np.zeros((3, 2)), y=np.zeros((3, 4)))
    (elsewhere / "junk.npz").write_bytes(b"PK\x03\x04junk")
    (elsewhere / "bad.toml").write_text("[model\nkind=")
    (elsewhere / "flat.toml").write_text('training = "steps"')
    (elsewhere / "key.toml").write_text("[training]\nepoch = 3")
    for folder in ("nothing", "full"):
        (elsewhere / folder).mkdir()
    (elsewhere / "full" / "mine.txt").touch()
    return elsewhere


@pytest.mark.slow
def test_one_row_is_too_little_or_enough_but_never_a_traceback(zatlas, elsewhere):
    for rows in (1, 2, 3):
        np.save(f"{rows}.npy", np.random.default_rng(0).integers(0, 256, (rows, 6, 6), dtype=np.uint8))
        answer = zatlas("train", f"{rows}.npy", *QUICK, "--out", f"run{rows}")
        assert "Traceback" not in answer.err
        if answer.status:
            one_sentence(answer, answer.status)
        else:
            assert zatlas("evaluate", f"run{rows}").status == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "digits", "--epoch", "3"], "--epoch"),
        (["train", "digits", "--steps", "many"], "--steps"),
        (["train", "digits", "more"], "more"),
        (["evaluate"], "RUN"),
        (["sample", "RUN", "-n", "0"], "--number"),
        (["trian"], "trian"),
        (["data", "lits"], "lits"),
    ],
)
def test_usage_errors_of_the_parser_are_readable_and_have_status_2(words, says, zatlas):
    answer = zatlas(*words)
    assert answer.status == 2
    assert answer.out == ""
    assert "Traceback" not in answer.err
    assert says in answer.err


def test_debug_shows_where(zatlas):
    from zatlas.errors import UsageError

    with pytest.raises(UsageError, match="no data called"):
        zatlas("--debug", "train", "digit")


def test_debug_leaves_a_worker_the_status_by_which_it_is_begun_again(zatlas, monkeypatch):
    from zatlas.runs import training
    from zatlas.runs.launching import LOST
    from zatlas.training.team import Lost

    def fail(*args, **kwargs):
        raise Lost("worker 1 of 2 is gone")

    monkeypatch.setattr(training, "train", fail)
    monkeypatch.setenv("ZATLAS_LAUNCHED", "1")
    answer = zatlas("--debug", "train", "digits")
    assert answer.status == LOST
    assert "Traceback" in answer.err


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (KeyboardInterrupt(), 130, "zatlas: interrupted."),
        (MemoryError(), 1, "there is not enough memory for this"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            1,
            "is not enough memory",
        ),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), 1, "is not enough memory"),
        (ValueError("Overflow when unpacking long long"), 1, "too large to be worked with"),
        (OverflowError("Python int too large to convert to C long"), 1, "too large to be worked with"),
        (RecursionError("maximum recursion depth exceeded"), 1, "too deep"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), 1, "there is not enough memory"),
        (PermissionError(13, "Permission denied", "some.npy"), 1, "some.npy failed: Permission denied."),
        (ZeroDivisionError("division by zero"), 1, "something went wrong that should not have (ZeroDivisionError"),
        (AssertionError(), 1, "something went wrong that should not have (AssertionError)"),
    ],
)
def test_what_nobody_foresaw_is_one_sentence_too(error, status, says, zatlas, monkeypatch):
    from zatlas.runs import training

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(training, "train", fail)
    answer = zatlas("train", "digits")
    assert says in one_sentence(answer, status)
    if status == 1:
        with pytest.raises(type(error)):
            zatlas("--debug", "train", "digits")
