"""zatlas explain: sentences and tables for people, one object for programs, one sentence for wrong words."""

import json

import numpy as np
import pytest

QUESTIONS = [
    ("conv-transpose", [], "In one line: (H − 1)·S − 2·P + D·(K − 1) + O + 1 = (4 − 1)·1"),
    ("conv-transpose", ["--input", "2x3", "--stride", "2"], "so 3×5"),
    ("conv-transpose", ["--input", "900"], "this is larger"),
    ("kl", [], "= 5,001.8 nats: huge"),
    ("kl", ["--p", "0.1,0.4,0.5", "--q", "0.8,0.15,0.05"], "= 1.3357 nats"),
    ("kl", ["--p", "1,3", "--q", "3,0", "--normalise"], "KL(P‖Q) is infinite"),
    ("kl", ["--mu", "0", "--sigma", "0.5", "--draws", "50"], "= 0.3181 nats"),
    ("kl", ["--mu", "-1", "--draws", "50"], "= 0.5000 nats"),
    ("kl", ["--mean1", "1,0", "--cov1", "1,0.5;0.5,2", "--draws", "50"], "= 0.7202 nats"),
    ("kl", ["--mean1", "1,0", "--cov1", "1,2", "--mean2", "1,0", "--cov2", "1,2", "--draws", "50"], "= 0.0000 nats"),
    ("kl", ["--fit"], "q keeps to one bump"),
    ("elbo", [], "which is log p(x)"),
    ("reparameterisation", ["--draws", "100"], "times as many draws"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words", "says"), QUESTIONS, ids=[" ".join([n, *w]) for n, w, _ in QUESTIONS])
def test_every_question_is_answered(name, words, says, zatlas, elsewhere):
    answer = zatlas("explain", name, *words)
    assert (answer.status, answer.out) == (0, ""), answer.err
    assert says in answer.err
    with np.load(elsewhere / f"{name}.npz") as arrays:
        assert arrays.files
    assert (elsewhere / f"{name}.png").exists() == ("900" not in words)

    answer = zatlas("explain", name, *words, "--out", "mine.svg", "--json")
    assert answer.status == 0
    assert answer.out.count("\n") == 1

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    facts = json.loads(answer.out, parse_constant=refuse)
    assert facts["files"] == (["mine.npz"] if "900" in words else ["mine.svg", "mine.npz"])


def test_a_table_and_sentences_for_people(zatlas, elsewhere):
    answer = zatlas("explain", "kl", "--p", "0.1,0.4,0.5", "--q", "0.8,0.2,0")
    assert (answer.status, answer.out) == (0, "")
    lines = answer.err.splitlines()
    assert lines[0].split() == ["outcome", "p", "q", "p", "log", "p/q", "q", "log", "q/p"]
    assert lines[3].split() == ["3", "0.5000", "0.0000", "∞", "0.0000"]
    assert lines[4].split()[-2:] == ["∞", "1.5249"]
    assert lines[-2:] == ["kl.png", "kl.npz"]
    assert sorted(path.name for path in elsewhere.iterdir()) == ["kl.npz", "kl.png"]


@pytest.mark.slow
def test_alone_it_lists_what_there_is_and_every_example_runs(zatlas):
    import shlex

    answer = zatlas("explain")
    assert (answer.status, answer.out) == (0, "")
    examples = [line.strip() for line in answer.err.splitlines() if line.startswith("    zatlas explain")]
    assert len(examples) == 7
    for example in examples:
        assert zatlas(*shlex.split(example)[1:], "--json").status == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["conv-transpose", "--input", "4x"], "--input wants a whole number"),
        (["conv-transpose", "--kernel", "0"], "kernel 0 cannot be"),
        (["conv-transpose", "--stride", "2", "--output-padding", "2"], "output padding 2 cannot be"),
        (["conv-transpose", "--padding", "9"], "which is no size"),
        (["kl", "--p", "0.5,0.5"], "give both --p and --q"),
        (["kl", "--normalise"], "give both --p and --q"),
        (["kl", "--p", "a,b", "--q", "0.5,0.5"], "--p wants numbers"),
        (["kl", "--p", "0.5,0.5", "--q", "0.5,0.4"], "sum to 0.9"),
        (["kl", "--fit", "--mu", "1"], "--mu and --sigma goes not with --fit"),
        (["kl", "--cov2", "1"], "--mean2 and --cov2 want a first Gaussian"),
        (["kl", "--mean1", "0"], "give --mean1 and --cov1"),
        (["kl", "--sigma", "0"], "is no standard deviation"),
        (["kl", "--mean1", "0,0", "--cov1", "1,2;2"], "rows of the same length"),
        (["kl", "--mean1", "0,0", "--cov1", "1,2;2,1"], "not positive definite"),
        (["elbo", "--sigma", "-1"], "sigma -1 cannot be"),
        (["reparameterisation", "--lr", "0"], "the rate 0 cannot be"),
    ],
)
def test_wrong_words_are_answered_in_one_sentence(words, says, zatlas, elsewhere):
    answer = zatlas("explain", *words)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("zatlas: ")
    assert says in answer.err
    assert answer.err.count("\n") == 1
    assert not list(elsewhere.iterdir())


@pytest.mark.slow
def test_a_lesson_moves(zatlas, elsewhere):
    from PIL import Image

    answer = zatlas("explain", "conv-transpose", "--out", "x.gif", "--theme", "dark")
    assert answer.status == 0, answer.err
    with Image.open(elsewhere / "x.gif") as picture:
        assert picture.n_frames > 2
        assert picture.convert("RGB").getpixel((1, 1)) == (0x14, 0x17, 0x1A)
