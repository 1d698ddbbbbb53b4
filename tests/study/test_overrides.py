"""Overrides: what ``--set`` changes, and what it says when it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frostline.errors import StudyError
from frostline.study import Head, Optimizer, Study, check_study, load_study

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
[data]
source = "digits"

[defaults]
seed = [0, 1]
optimizer = {name = "sgd", lr = 0.1}

[[arms]]
train_from = ["head", "all"]
epochs = 2

[[arms]]
epochs = 3
optimizer = "adam"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(TEXT)
    return "study.toml"


def test_values_are_toml(file: str) -> None:
    study = load_study(
        file,
        [
            "data.train=200",
            "data.val = 0.25",
            "defaults.seed=[0,1,2]",
            "arms[0].epochs=[1, 2]",
            "arms[1].head={hidden=[8], dropout=0.5}",
            'name="mine"',
        ],
    )
    assert (study.name, study.data.train, study.data.val) == ("mine", 200, 0.25)
    assert len(study.expand()) == 3 * (2 * 2) + 3
    assert study.expand()[-1].recipe.head == Head(hidden=(8,), dropout=0.5)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("../shared/data/cifar10", "../shared/data/cifar10"),
        ("a b", "a b"),
        ("C:\\images", "C:\\images"),
        ("a=b", "a=b"),
        ("2026-01-01", "2026-01-01"),
        ("'2026'", "2026"),
        ('"x"', "x"),
        ("\u00e9\U0001f98a", "\u00e9\U0001f98a"),
    ],
)
def test_words_and_paths_need_no_quotes(file: str, text: str, path: str) -> None:
    assert load_study(file, ["data.source=csv", f"data.path={text}"]).data.path == path


def test_tables_are_made_on_the_way(file: str) -> None:
    study = load_study(file, ["arms[0].optimizer.lr=0.5", "defaults.head.hidden=[4]"])
    # A new table replaces the one of the defaults, as in a file.
    assert study.expand()[0].recipe.phases[0].optimizer == Optimizer(lr=0.5)
    assert study.expand()[0].recipe.head == Head(hidden=(4,))


def test_later_overrides_go_on_from_earlier_ones(file: str) -> None:
    overrides = ["arms[0].optimizer={name=sgd}", "arms[0].optimizer={name='sgd'}", "arms[0].optimizer.lr=0.5"]
    assert [p.message for p in check_study(file, overrides)] == ["is not a TOML value: check its quotes and brackets"]
    study = load_study(file, overrides[1:])
    assert study.expand()[0].recipe.phases[0].optimizer == Optimizer(name="sgd", lr=0.5)


def test_a_star_means_every_entry(file: str) -> None:
    study = load_study(file, ["arms[*].epochs=1", "arms[*].optimizer={lr=0.5}", "arms[0].optimizer.lr=0.25"])
    assert {arm.recipe.total_epochs for arm in study.expand()} == {1}
    # Setting something in one entry leaves the others alone.
    assert [arm.recipe.phases[0].optimizer.lr for arm in study.expand()] == [0.25] * 4 + [0.5] * 2


def test_grids_are_reached_by_position(file: str) -> None:
    assert load_study(file, ["arms[0].train_from[1]=layer4"]).expand()[2].recipe.train_from == "layer4"
    assert load_study(file, ["defaults.seed[1]=9"]).expand()[1].recipe.seed == 9


def test_quoted_keys(file: str) -> None:
    study = load_study(file, ["defaults.class_weights={cat=1}", 'defaults.class_weights."big.fish"=2'])
    assert study.expand()[0].recipe.class_weights == {"cat": 1.0, "big.fish": 2.0}


def test_overrides_go_into_the_study(file: str) -> None:
    study = load_study(file, ["data.train=200", "arms[0].epochs=7"])
    assert "train = 200" in study.to_toml()
    assert "epochs = 7" in study.to_toml()


TRAIN = (
    "must be a count of images, such as 1000, or a fraction above 0 and up to 1.0; leave it out to train on all of them"
)
BAD: list[tuple[list[str], list[str]]] = [
    (["data.train=-5"], [f"data.train = -5: {TRAIN}"]),
    (["data.tain=5"], ['data.tain = 5: unknown key; did you mean "train"?']),
    (["data=5"], ["data = 5: must be a table"]),
    (["arms=[]"], ["arms: is empty: a study needs at least one [[arms]]"]),
    (["arms[0].optimizer={lr=-1}"], ["arms[0].optimizer.lr = -1: must be above 0"]),
    (["arms[*].epochs=0"], ["arms[0].epochs = 0: must be at least 1", "arms[1].epochs = 0: must be at least 1"]),
    (["arms[0].epochs=many"], ['arms[0].epochs = "many": must be a whole number']),
    (["arms[0].epochs="], ['arms[0].epochs = "": must be a whole number']),
    (["arms[0].epochs=[]"], ["arms[0].epochs = []: is an empty list, which leaves no arm: give at least one value"]),
    (
        ["epochs=3"],
        ["epochs = 3: unknown key; did you mean epochs, in [defaults] or [[arms]]?"],
    ),
    (
        ["name=a/b"],
        ['name = "a/b": must not start with a dot or contain any of / \\ : * ? " < > |, as files are named after it'],
    ),
    # -- keys that lead nowhere
    (["arms[2].epochs=1"], ["arms[2]: does not exist; the last is arms[1]"]),
    (["arms.epochs=1"], ["arms: is a list: say which entry, such as arms[0]"]),
    (["data[0]=1"], ["data: is a table, not a list: [0] is not in it"]),
    (["data[*]=1"], ["data: is a table, not a list: [*] is not in it"]),
    (["arms[1].optimizer.lr=1"], ['arms[1].optimizer = "adam": is not a table: set it as a whole']),
    (["arms[0].epochs[0]=1"], ["arms[0].epochs = 2: is not a table: set it as a whole"]),
    # -- no key, no value
    (["data.train"], ['"data.train" must be KEY=VALUE, such as data.train=2000 or arms[0].optimizer.lr=0.01']),
    ([""], ['"" must be KEY=VALUE, such as data.train=2000 or arms[0].optimizer.lr=0.01']),
    (
        ["=5"],
        ["a key is missing: an override must be KEY=VALUE, such as data.train=2000 or arms[0].optimizer.lr=0.01"],
    ),
    (["data..x=5"], ['"data..x" is not a key of a study: keys look like data.train or arms[0].optimizer.lr']),
    (["[0]=5"], ['"[0]" is not a key of a study: keys look like data.train or arms[0].optimizer.lr']),
    (
        ["arms[-1].epochs=5"],
        ['"arms[-1].epochs" is not a key of a study: keys look like data.train or arms[0].optimizer.lr'],
    ),
    (["a b=5"], ['"a b" is not a key of a study: keys look like data.train or arms[0].optimizer.lr']),
    (['"\\q"=5'], ['"\\q" in a key is not quoted correctly']),
    (["defaults.seed=[0, 1"], ["defaults.seed = [0, 1: is not a TOML value: check its quotes and brackets"]),
    (['data.path="x'], ['data.path = "x: is not a TOML value: check its quotes and brackets']),
    (["data.path=" + "[" * 40 + "]" * 40], ["data.path: is nested too deeply"]),
    (["data.path=" + "[" * 5000], [f"data.path = {'[' * 60}: is not a TOML value: check its quotes and brackets"]),
    # -- overrides that would change nothing
    (
        ["defaults.epochs=5"],
        ["defaults.epochs: changes nothing, because every arm has its own: set arms[*].epochs instead"],
    ),
    # -- several
    (
        ["data.train=0", "oops", "arms[9].epochs=1"],
        [
            '"oops" must be KEY=VALUE, such as data.train=2000 or arms[0].optimizer.lr=0.01',
            "arms[9]: does not exist; the last is arms[1]",
            f"data.train = 0: {TRAIN}",
        ],
    ),
]


@pytest.mark.parametrize(("overrides", "expected"), BAD)
def test_what_is_wrong_with_an_override_is_told(file: str, overrides: list[str], expected: list[str]) -> None:
    assert [str(problem) for problem in check_study(file, overrides)] == [f"--set: {line}" for line in expected]
    with pytest.raises(StudyError, match=r"^--set: "):
        load_study(file, overrides)


def test_a_second_line_is_text_and_not_another_key(file: str) -> None:
    (problem,) = check_study(file, ["data.source=csv", "data.path=1\ntrain=5"])
    assert str(problem) == '--set: data.path = "1\\ntrain=5": must not contain line breaks or control characters'


def test_problems_of_the_file_keep_their_places(file: str) -> None:
    told = [str(problem) for problem in check_study(file, ["data.source=csv", "arms[0].frozen_norm=x"])]
    assert told == [
        'study.toml:1:1: data.path: is missing: the source "csv" needs the file to read',
        '--set: arms[0].frozen_norm = "x": must be "stored" or "batch"',
    ]


def test_an_override_that_some_arm_uses_is_fine(file: str) -> None:
    study = load_study(file, ["defaults.optimizer={lr=0.25}"])
    assert {arm.recipe.phases[0].optimizer.lr for arm in study.expand()} == {0.25, 0.001}


def test_studies_from_files_equal_those_made_in_python(file: str) -> None:
    made = Study(
        name="study",
        data={"source": "digits"},
        defaults={"seed": [0, 1], "optimizer": {"name": "sgd", "lr": 0.1}},
        arms=[{"train_from": ["head", "all"], "epochs": 2}, {"epochs": 3, "optimizer": "adam"}],
    )
    assert load_study(file) == made
    assert load_study(file).digest == made.digest
