"""Plans and members: what a person may say, what is refused, and that a member is known by what it is."""

from pathlib import Path

import numpy as np
import pytest

from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.studies.folder import StudyFolder, refuse_other
from zatlas.studies.members import Member, check_search, members, points
from zatlas.studies.plan import Goal, Halving, Plan, from_record, plans, read_plan
from zatlas.studies.spaces import Choices, Range, drawn, read_draw, read_grid, read_values


def plan(**facts):
    return Plan(**{"source": "digits", "words": {"steps": 3}, **facts})


GRID = {"latent_dim": (2, 10), "beta": (1, 5, 10)}
COURSE = Path(__file__).parents[2] / "examples" / "course"


def test_every_combination_is_a_member_once_for_each_seed():
    found = members(plan(grid=GRID, seeds=2))
    told = [(m.words["latent_dim"], m.words["beta"], m.words["seed"]) for m in found]
    assert told == [(z, beta, seed) for seed in (0, 1) for z in (2, 10) for beta in (1, 5, 10)]
    for m in found:
        assert m.config["model"]["latent_dim"] == m.words["latent_dim"]
        assert m.config["objective"]["beta"] == m.words["beta"]
        assert m.config["training"]["seed"] == m.words["seed"]
    assert len({m.key for m in found}) == 12
    assert len({m.group for m in found}) == 6


def test_a_member_is_known_by_its_configuration_and_not_by_how_it_was_said():
    small = {m.key for m in members(plan(grid={"beta": (1, 4)}))}
    larger = {m.key for m in members(plan(grid={"beta": (4.0, 1, 9), "latent_dim": (2, 3)}))}
    assert small < larger
    assert small < {m.key for m in members(plan(grid={"beta": (1, 4)}, seeds=3))}
    assert small == {m.key for m in members(plan(grid={"beta": (1, 4)}, words={}, assignments=("training.steps=3",)))}
    assert small.isdisjoint(m.key for m in members(plan(grid={"beta": (1, 4)}, words={"steps": 4})))


def test_the_seed_counts_from_that_of_the_preset():
    found = members(plan(grid={"latent_dim": (2,)}, preset="course-vae", words={}, seeds=2))
    assert [m.config["training"]["seed"] for m in found] == [3, 4]


def test_draws_depend_on_word_number_and_seed_alone():
    spaces = {"learning_rate": Range(1e-4, 1e-2, log=True), "latent_dim": Range(2, 64, whole=True)}
    few = members(plan(draws=spaces, trials=3))
    more = members(plan(draws={**spaces, "network": Choices(("mlp",))}, trials=7))
    rates = lambda found: [m.words["learning_rate"] for m in found]
    assert rates(few) == rates(more)[:3]
    assert len(set(rates(more))) == 7
    assert rates(few) != rates(members(plan(draws=spaces, trials=3, draw_seed=1)))
    crossed = members(plan(draws={"learning_rate": spaces["learning_rate"]}, grid={"beta": (1, 4)}, trials=3))
    same = {"beta": Range(1, 2), "sigma": Range(1, 2)}
    pairs = np.array([list(drawn(same, trial, 0).values()) for trial in range(400)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.15  # words are drawn apart
    assert [m.words["beta"] for m in crossed] == [1, 1, 1, 4, 4, 4]
    assert rates(crossed) == rates(few) * 2  # each combination has the same draws


@pytest.mark.parametrize("space", [Range(1e-4, 1e-2, log=True), Range(0.0, 3.0), Range(1, 9, whole=True)])
def test_draws_fill_their_range_evenly(space):
    values = np.array([drawn({"w": space}, trial, 0)["w"] for trial in range(4000)])
    assert values.min() >= space.low
    assert values.max() <= space.high
    if space.whole:
        counts = np.bincount(values.astype(int))[1:]
        assert counts.min() > 4000 / 9 * 0.8
    else:
        scale = np.log if space.log else np.asarray
        shares = np.histogram(scale(values), bins=4, range=scale([space.low, space.high]))[0] / 4000
        assert shares == pytest.approx([0.25] * 4, abs=0.03)


def test_values_are_read_as_toml_writes_them_or_as_words():
    assert read_values("1,2.5,true,none,mlp,[3, 4],'a,b'") == [1, 2.5, True, None, "mlp", [3, 4], "a,b"]
    assert read_grid("model.latent_dim=2,2,3") == ("latent_dim", (2, 3))
    assert read_draw("latent_dim=2..64:log")[1] == Range(2, 64, log=True, whole=True)


def test_none_is_a_value():
    found = members(plan(grid={"patience": (None, 3)}))
    assert [m.config["training"].get("patience") for m in found] == [None, 3]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_grid, "betta=1,2", r"--grid: there is no key betta; did you mean beta\?"),
        (read_grid, "model.latent_dims=1", r"there is no key model.latent_dims; did you mean model.latent_dim\?"),
        (read_grid, "beta", r"--grid wants key=values, as latent_dim=2,10,25, and 'beta' is not that"),
        (read_grid, "beta=", "--grid beta: the grid is empty: give at least one value, as beta=2,10"),
        (read_grid, "beta= , ,", "the grid is empty"),
        (read_grid, "source=mnist,digits", "a study is of one data set"),
        (read_draw, "beta=4..1", "'4..1' is no range: give a smaller and a larger number"),
        (read_draw, "beta=a..b", "'a..b' is no range"),
        (read_draw, "beta=0..1:log", "a range in the logarithm begins above 0, and this one at 0"),
        (read_draw, "beta=1..2:ln", "a range can be :log and nothing else"),
        (read_draw, "beta=3", "wants a range, as 1e-4..1e-2:log, or choices, as mlp|conv, and '3' is neither"),
        (read_draw, "beta=1..inf", "is no range"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(read, text, message):
    with pytest.raises(UsageError) as refused:
        read(text)
    assert message.replace("\\", "") in str(refused.value)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "a study varies something: give --grid, --draw or --seeds"),
        ({"source": "", "seeds": 2}, "say what the study is of"),
        ({"grid": GRID, "words": {"beta": 4.0}}, "beta is fixed at 4.0 and varies"),
        ({"grid": GRID, "assignments": ("objective.beta=2",)}, "beta is fixed by --set objective.beta=2 and varies"),
        ({"grid": GRID, "draws": {"beta": Range(1, 2)}, "trials": 2}, "beta has a grid and is drawn: choose one"),
        ({"draws": {"beta": Range(1, 2)}}, "how often is to be drawn? Give --trials N"),
        ({"grid": GRID, "trials": 3}, "--trials counts draws, and nothing is drawn"),
        ({"grid": {"seed": (0, 1)}, "seeds": 2}, "seeds are both counted and listed"),
        ({"grid": GRID, "seeds": 0}, "seeds are counted, from 1 on, and 0 is not such a number"),
        ({"grid": GRID, "goals": (Goal("elbo", False),)}, "a goal is for a search: give --search too"),
        ({"search": True, "trials": 3, "seeds": 2}, "there is nothing to search"),
        ({"grid": {"batch_size": tuple(range(1, 2000)), "latent_dim": tuple(range(1, 99))}}, "has 195,902 members"),
        ({"words": {"latent_dims": 2}, "seeds": 2}, "there is no key latent_dims; did you mean latent_dim?"),
    ],
)
def test_plans_that_cannot_be_are_refused_in_a_sentence(facts, message):
    with pytest.raises(UsageError) as refused:
        plan(**facts)
    assert message in str(refused.value)


def test_a_value_of_the_wrong_kind_is_refused_and_a_combination_that_cannot_be_is_a_failing_member():
    with pytest.raises(UsageError, match=r"latent_dim two: model.latent_dim: Input should be a valid integer"):
        members(plan(grid={"latent_dim": (2, "two")}))
    with pytest.raises(UsageError, match="latent_dim"):
        members(plan(draws={"latent_dim": Range(-3, 0, whole=True)}, trials=5))
    with pytest.raises(UsageError, match="latent_dim"):
        check_search(plan(draws={"latent_dim": Range(-3, 8, whole=True)}, trials=5, search=True))
    found = members(plan(grid={"model": ("vae", "ladder"), "network": ("mlp", "conv")}))
    refused = [m for m in found if m.refused]
    assert [(m.words["model"], m.words["network"]) for m in refused] == [("ladder", "conv")]
    assert "conv" in refused[0].refused
    assert len({m.key for m in found}) == 4


def test_a_plan_is_read_back_from_what_it_writes(tmp_path):
    made = plan(
        grid={"patience": (None, 3), "network": ("mlp", "conv")},
        draws={"learning_rate": Range(1e-4, 1e-2, log=True), "size": Choices(("xs", "s"))},
        trials=4, seeds=3, halving=Halving(2, 0.25), best=Goal("rate", True), metrics=("bound",), about="Why.",
        assignments=("training.ema=0.9",), words={"steps": 3, "resize": 64},
    )  # fmt: skip
    assert from_record(made.written(), "here") == made
    (tmp_path / "plan.toml").write_text(made.to_toml())
    assert read_plan(str(tmp_path / "plan.toml")) == made
    assert list(points(made)) == list(points(read_plan(str(tmp_path / "plan.toml"))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources = 'digits'", "there is no sources; did you mean source?"),
        ("source = 3", "source wants a text, and 3 is none"),
        ("source = 'digits'\nseeds = true", "seeds wants a whole number, and True is none"),
        ("source = 'digits'\n[grid]\nbeta = 3", "grid beta: a grid is a list of values, and 3 is none"),
        ("source = 'digits'\n[grid]\nbeta = []", "the grid is empty"),
        ("source = 'digits'\nseeds = 2\n[halving]\nrate = 3", "there is no halving.rate; known are factor and first"),
        ("source = ", "is not valid TOML"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_in_a_sentence(tmp_path, text, message):
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(UsageError) as refused:
        read_plan(str(tmp_path / "plan.toml"))
    assert message in str(refused.value)


def test_the_plans_of_the_course():
    weights, sizes = read_plan("course-weights"), read_plan("course-latent-size")
    assert {*plans()} == {"course-weights", "course-latent-size"}
    assert weights.grid == {"latent_dim": (2, 10, 25, 50), "beta": (1, 5, 10, 40)}
    found = members(weights)
    assert (len(found), {m.refused for m in found}) == (16, {""})
    assert found[0].config["network"]["kind"] == "course-mlp"
    assert sizes.grid == {"latent_dim": (2, 4, 8, 16)}
    assert [(m.refused, m.config["training"]["epochs"]) for m in members(sizes)] == [("", 10)] * 4
    for chapter, plan_name in (("4_conditional_vae", "course-latent-size"), ("5_weighted_vae", "course-weights")):
        assert f'"{plan_name}"' in (COURSE / f"{chapter}.py").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="there is no plan course-weight, neither a file nor one of zatlas; did you"):
        read_plan("course-weight")


def test_more_of_a_study_is_the_same_study_and_another_is_refused(tmp_path):
    before = plan(grid=GRID)
    for more in (
        plan(grid={**GRID, "beta": (1, 5, 10, 40)}),
        plan(grid={"beta": (1, 5)}),
        plan(grid={**GRID, "size": ("s", "xs")}, seeds=3),
        plan(grid=GRID, metrics=("bound", "rate"), best=Goal("rate", True)),
    ):
        refuse_other(before, more, tmp_path)
    kinds = plan(grid={"model": ("vae", "ae", "gan")})  # each with defaults of its own
    refuse_other(kinds, plan(grid={"model": ("gan", "ae")}), tmp_path)
    refuse_other(kinds, plan(grid={"model": ("ladder",)}, seeds=2), tmp_path)
    for other, told in (
        (plan(grid=GRID, words={"steps": 9}), r"another plan \(training.steps is 3 there and 9 here\)"),
        (plan(grid=GRID, source="sprites"), r"data.source is 'digits' there and 'sprites' here"),
        (plan(grid=GRID, words={"steps": 3, "size": "xs"}), r"network.size is 's' there and 'xs' here"),
    ):
        with pytest.raises(UsageError, match=told):
            refuse_other(before, other, tmp_path)
    draws = [plan(draws={"beta": Range(1, high)}, trials=2) for high in (2, 3)]
    with pytest.raises(UsageError, match="beta is drawn from another range"):
        refuse_other(*draws, tmp_path)


def test_a_folder_of_somebody_else_and_one_in_use_are_refused(tmp_path):
    (tmp_path / "letter.txt").touch()
    with pytest.raises(
        UsageError, match=r"is not empty and holds no study \(it holds letter.txt\): give another --out"
    ):
        StudyFolder(tmp_path).check()
    folder = StudyFolder(tmp_path / "study")
    with (
        folder.locked(),
        pytest.raises(UsageError, match="is being worked on by another study: wait for it"),
        StudyFolder(tmp_path / "study").locked(),
    ):
        pass
    with pytest.raises(UsageError, match=r"is no study: it holds no study.json; `zatlas study` makes one"):
        folder.record()


def test_names_of_folders_are_readable_and_safe():
    m = Member("0123456789abcdef", {"network": "a/b: c", "beta": 4.0, "resize": (64, 48)})
    assert m.folder == "network-a-b-c-beta-4.0-resize-64-48-0123456789abcdef"
    assert len(Member("0" * 16, {"w": "x" * 500}).folder) < 80
    assert make_config(("here", {})).training.seed == 0
