"""Whatever a study holds, only our own errors come out, and what is accepted can be written and read again."""

from __future__ import annotations

import datetime
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frostline.errors import FrostlineError, StudyError
from frostline.study import Data, Head, Optimizer, Phase, Problem, Recipe, Schedule, Study, check_study, load_study

if TYPE_CHECKING:
    from collections.abc import Callable

Made = TypeVar("Made")

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

KEYS = sorted(
    {
        "name",
        "data",
        "defaults",
        "arms",
        "train_from",
        "epochs",
        "optimizer",
        "schedule",
        "naem",
        "",
        "a b",
        "\u00e9",
        "x.y",
    }
    | {key for model in (Data, Head, Optimizer, Phase, Recipe, Schedule) for key in model.model_fields}
)
WORDS = [
    *[
        "digits",
        "cifar10",
        "csv",
        "sgd",
        "adam",
        "adamw",
        "cosine",
        "step",
        "none",
        "flip",
        "crop-flip",
        "fresh",
        "linear",
    ],
    *[
        "stored",
        "batch",
        "head",
        "layer4",
        "all",
        "balanced",
        "resnet18",
        "float16",
        "",
        " ",
        "\x7f",
        "\u2028",
        "\U0001f98a",
    ],
]
scalars = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=8),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 10**400]),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e-3, 1e308, 5e-324]),
    st.dates(),
    st.times(),
    st.datetimes(),
)
keys = st.one_of(st.sampled_from(KEYS), st.text(max_size=5))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=8,
)
# Values that Python can hold and TOML can't.
python_values = st.one_of(
    values, st.none(), st.binary(max_size=3), st.tuples(values), st.sets(st.integers(), max_size=2)
)


def one(key: str, good: list[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(
        st.just(key), st.one_of(st.sampled_from(good), st.lists(st.sampled_from(good), max_size=3), values)
    )


OPTIMIZERS = [{"name": "sgd", "momentum": 0.9, "nesterov": True}, {"lr": [0.1, 1]}, "sgd", {"name": "adamw"}]
GOOD: dict[str, list[Any]] = {
    "backbone": ["resnet18", "vgg16", "timm:vit_tiny_patch16_224"],
    "weights": ["default", "none", "a.pth"],
    "image_size": [32, 224],
    "batch_size": [1, 64],
    "seed": [0, 1, 2**63 - 1],
    "head": ["linear", {"hidden": [8]}, {"hidden": [[8], []]}, {"hidden": [1, 2], "dropout": 0.5}],
    "augmentation": ["none", "flip"],
    "views": [1, 4, "fresh"],
    "label_smoothing": [0, 0.1],
    "class_weights": ["none", "balanced", {"cat": 1}],
    "frozen_norm": ["stored", "batch"],
    "tail_norm": ["stored", "batch"],
    "activations": ["float32", "float16", "auto"],
    "train_from": ["head", "layer4"],
    "epochs": [1, 2, 3],
    "optimizer": OPTIMIZERS,
    "schedule": ["cosine", {"name": "step", "gamma": [0.1, 0.5]}],
    "phases": [[{}], [{"epochs": 1}, {"train_from": "all", "optimizer": OPTIMIZERS}], [[{}], [{}, {}]]],
    "name": ["x", "y z"],
}
recipes = st.lists(st.one_of([one(key, good) for key, good in GOOD.items()]), max_size=4).map(dict)
datas = st.one_of(
    st.just({"source": "digits"}),
    st.dictionaries(st.sampled_from([*Data.model_fields, "x"]), scalars, max_size=3).map(
        lambda d: {"source": "csv", **d}
    ),
    values,
)
studies = st.fixed_dictionaries(
    {"data": datas, "arms": st.one_of(st.lists(recipes, min_size=1, max_size=3), values)},
    optional={"name": scalars, "defaults": st.one_of(recipes, values), "zzz": values},
)


def toml(value: Any) -> str:
    """Return a value as TOML, written independently of the package's own writer."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # Halves of surrogate pairs have no place in TOML.
        return (
            json.dumps(value.encode("utf-8", "replace").decode()).replace("\x7f", "\\u007f")
            if value.isascii()
            else quoted(value)
        )
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    return repr(value)


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(c):08x}" if not 0xD800 <= ord(c) < 0xE000 else "?" for c in text) + '"'


def document(study: Any) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in study.items())


def read(content: bytes, overrides: list[str] | None = None) -> Study | None:
    """Load a file of some content; check that both ways of reading agree and that every problem is well formed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.toml"
        file.write_bytes(content)
        lines = content.decode("utf-8-sig", errors="replace").split("\n")
        problems = check_study(file, overrides or [])
        for problem in problems:
            check_problem(problem, lines)
        study, error = attempt(lambda: load_study(file, overrides or []))
        assert isinstance(error, StudyError if problems else type(None))
        if study is None:
            return None
        file.write_text(study.to_toml(), encoding="utf-8")
        again = load_study(file)
        assert again == study
        assert again.expand() == study.expand()
        check_arms(study)
        return study


def attempt(make: Callable[[], Made]) -> tuple[Made | None, FrostlineError | None]:
    """Return what is made, or our error; any other exception comes out."""
    try:
        return make(), None
    except FrostlineError as error:
        return None, error


def check_problem(problem: Problem, lines: list[str]) -> None:
    assert problem.message
    assert str(problem).isprintable()
    str(problem).encode()
    if problem.line is not None and problem.column is not None:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def check_arms(study: Study) -> None:
    arms = study.expand()
    assert arms
    assert len({arm.name for arm in arms}) == len({arm.recipe for arm in arms}) == len(arms)
    for arm in arms:
        assert Recipe(**arm.recipe.model_dump()) == arm.recipe
        json.dumps(arm.recipe.to_json(), allow_nan=False)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    read(content)


@FUZZ
@given(st.text(alphabet="[]{}=\"'.,#\n \t\\-+_0123456789eEaxinfTZ:tru\u00e9\U0001f98a", max_size=200))
def test_text_of_tomls_characters(text: str) -> None:
    read(text.encode())


@FUZZ
@given(studies)
def test_random_typed_values(study: Any) -> None:
    read(document(study).encode())


PHASE_KEYS = ("train_from", "epochs", "optimizer", "schedule")


def with_phases(arm: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(GOOD["phases"]).map(lambda phases: {**arm, "phases": phases})


def grid(key: str) -> st.SearchStrategy[Any]:
    good = GOOD[key]
    return st.one_of(st.sampled_from(good), st.lists(st.sampled_from(good), min_size=1, max_size=3, unique_by=repr))


def table(keys: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={key: grid(key) for key in keys})


SAFE = [key for key in GOOD if key not in ("name", "phases", "views", "head")]
good_arms = st.one_of(table(SAFE), table([key for key in SAFE if key not in PHASE_KEYS]).flatmap(with_phases))


@settings(FUZZ, max_examples=40)
@given(table([*SAFE, "head"]), st.lists(good_arms, min_size=1, max_size=3))
def test_studies_with_nothing_wrong(defaults: dict[str, Any], arms: list[dict[str, Any]]) -> None:
    study = read(document({"data": {"source": "digits"}, "defaults": defaults, "arms": arms}).encode())
    assert study is not None
    # An arm is what it is and is called what it is called, whatever else stands in the study.
    alone = [
        arm for entry in arms for arm in Study(data={"source": "digits"}, defaults=defaults, arms=[entry]).expand()
    ]
    assert tuple(dict.fromkeys(alone)) == study.expand()


MUTANT = document(
    {
        "data": {"source": "digits", "train": 100, "val": 0.5},
        "defaults": {"seed": [0, 1], "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}},
        "arms": [{"train_from": ["head", "all"], "epochs": [2, 3]}, {"phases": [{"epochs": 1}, {"train_from": "all"}]}],
    }
)
BUILT_IN = (Path(__file__).parents[2] / "src/frostline/study/builtin/cifar10-exercise.toml").read_text(encoding="utf-8")


@FUZZ
@given(st.sampled_from([MUTANT, BUILT_IN]), st.data())
def test_a_valid_study_with_pieces_cut_copied_and_changed(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        piece = data.draw(st.one_of(st.just(""), st.just(text[start:end] * 2), values.map(toml), st.text(max_size=3)))
        text = text[:start] + piece + text[end:]
    read(text.encode("utf-8", "surrogatepass"))


@FUZZ
@given(
    st.lists(
        st.tuples(st.sampled_from(["data", "defaults", "arms[0]", "arms[*]", ""]), keys, values), min_size=1, max_size=3
    )
)
def test_overrides_of_known_keys_with_any_value(overrides: list[tuple[str, str, Any]]) -> None:
    texts = [".".join(part for part in (table, key) if part) + "=" + toml(value) for table, key, value in overrides]
    read(MUTANT.encode(), texts)


@FUZZ
@given(st.lists(st.text(max_size=30), max_size=3), st.text(alphabet='ab.[]*"0129\\=data', max_size=20))
def test_overrides_of_any_text(texts: list[str], key: str) -> None:
    surrogate = "data.path=\udcff"  # what Python makes of an argument that isn't UTF-8
    read(MUTANT.encode(), [*texts, key, f"{key}=1", surrogate])


@FUZZ
@given(
    st.dictionaries(st.sampled_from(["data", "arms", "defaults", "name"]), python_values), python_values, python_values
)
def test_studies_made_in_python(given_study: dict[str, Any], data: Any, arms: Any) -> None:
    study, error = attempt(lambda: Study(**{"data": data, "arms": arms, **given_study}))
    if study is None:
        assert str(error)
    else:
        check_arms(study)


@FUZZ
@given(
    st.sampled_from([Data, Head, Optimizer, Phase, Recipe, Schedule]), st.dictionaries(keys, python_values, max_size=4)
)
def test_models_made_in_python(model: Any, given_settings: dict[str, Any]) -> None:
    made, error = attempt(lambda: model(**given_settings))
    if made is None:
        assert str(error)
    else:
        assert model(**made.model_dump()) == made


@FUZZ
@given(st.text(max_size=300))
def test_names_of_studies(name: str) -> None:
    for problem in check_study(f"no-such-folder/{name}"):
        check_problem(problem, [])
