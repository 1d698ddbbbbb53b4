"""Labels as people write them: spellings that look the same, numbers, and labels that may mean that there is none."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frostline.data import Dataset, load_dataset
from frostline.data._labels import read_labels
from frostline.errors import DataError
from frostline.study import Data

Make = Callable[..., Path]
Ask = Callable[..., Data]
Encode = Callable[..., bytes]
Load = Callable[..., Dataset]

NFC, NFD = "caf\u00e9", "cafe\u0301"


def read(texts: list[str | None], unlabelled: list[str] | None = None, **others: Any) -> Any:
    return read_labels("data", texts, unlabelled, lambda place: f"row {place}", **others)


READ: dict[str, tuple[list[str | None], list[str | None]]] = {
    "plain": (["b", "a", "b"], ["b", "a", "b"]),
    "composed and decomposed": ([NFC, NFD, "x"], [NFC, NFC, "x"]),
    "spaces at the ends": ([" cat", "cat\u00a0", "cat\u200b", "dog"], ["cat", "cat", "cat", "dog"]),
    "case": (["Cat", "cat"], ["Cat", "cat"]),
    "whole numbers as floats": (["0.0", "1.0", "10.0"], ["0", "1", "10"]),
    "whole numbers in both spellings": (["1", "1.0", "2"], ["1", "1", "2"]),
    "numbers that aren't whole": (["1.5", "1.0"], ["1.5", "1.0"]),
    "versions beside words": (["1.0", "beta"], ["1.0", "beta"]),
    "missing": (["a", None, "b"], ["a", None, "b"]),
    "plus and minus one": (["-1", "1"], ["-1", "1"]),
}


@pytest.mark.parametrize("case", READ)
def test_labels_are_read(case: str) -> None:
    texts, expected = READ[case]
    labels = read(texts)
    assert [None if label < 0 else labels.classes[label] for label in labels.labels.tolist()] == expected


def test_numbers_are_in_their_order() -> None:
    assert read(["10.0", "9.0", "2.0"]).classes == ("2", "9", "10")


def test_what_is_read_as_one_class_is_told_so_that_the_difference_can_be_seen() -> None:
    assert read([NFD, NFC, "x"]).notes == (r'"cafe\u0301" and "caf\u00e9" are read as one class, "caf' + '\u00e9"',)
    assert read(["cat ", "cat"]).notes == ()  # nobody means a space at the end


def test_names_that_differ_only_by_case_are_kept_apart_and_warned_of() -> None:
    assert read(["Cat", "cat", "dog"]).warnings == (
        'the classes "Cat" and "cat" differ only in upper and lower case; they are kept as separate classes',
    )


# from the documentation of pandas.read_csv, na_values
PANDAS = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)


@pytest.mark.parametrize("text", PANDAS)
def test_everything_that_pandas_reads_as_missing_is_asked_about(text: str) -> None:
    pandas = pytest.importorskip("pandas")
    assert pandas.read_csv(io.StringIO(f"path,label\na.png,{text}\n"))["label"].isna().all()
    with pytest.raises(DataError, match='may stand for "no label"'):
        read(["cat", text, "dog"])


@pytest.mark.parametrize("label", ["nan", "NaN", "NA", "N/A", "None", "null", "?", "-", "<NA>", " nan "])
def test_labels_that_may_mean_none_are_asked_about_by_name(label: str) -> None:
    texts: list[str | None] = ["cat", label, "dog", label]
    with pytest.raises(DataError, match=r'that may stand for "no label":\n  ".*": row 1, row 3\n') as raised:
        read(texts)
    message = str(raised.value)
    assert f'unlabelled = ["{label.strip()}"]' in message
    assert message.endswith("\n  unlabelled = []")
    out = read(texts, [label])
    assert (out.classes, out.labels.tolist(), out.left_out.tolist()) == (
        ("cat", "dog"),
        [0, -1, 1, -1],
        [False, True, False, True],
    )
    assert out.notes[-1] == f'2 images are left out as unlabelled ("{label.strip()}")'
    assert set(read(texts, []).classes) == {"cat", "dog", label.strip()}


def test_minus_one_among_numbers_is_asked_about() -> None:
    with pytest.raises(DataError, match=r'"-1": row 2'):
        read(["0", "1", "-1"])


@pytest.mark.parametrize("answer", [None, [], ["?"]])
def test_an_empty_label_is_never_a_class(answer: list[str] | None) -> None:
    with pytest.raises(DataError, match=r'images without a label:\n  "": row 1\n.*\n  unlabelled = \[""\]'):
        read(["cat", " ", "dog"], answer)
    assert read(["cat", " ", "dog"], [""]).classes == ("cat", "dog")


def test_several_are_asked_about_at_once() -> None:
    with pytest.raises(DataError, match=r'unlabelled = \["", "\?", "nan"\]\nor, if .*\n  unlabelled = \[""\]$'):
        read(["cat", "nan", "?", "", "dog"])


@pytest.fixture(params=["folder", "csv", "parquet"])
def load(request: pytest.FixtureRequest, tmp_path: Path, ask: Ask, encode: Encode) -> Load:
    """Return a loader of images with the given labels, five of each, from every source."""

    def load_labelled(labels: list[str], **said: Any) -> Dataset:
        rows = [(5 * k + i, label) for k, label in enumerate(labels) for i in range(5)]
        if request.param == "folder":
            for n, label in rows:
                (tmp_path / label).mkdir(exist_ok=True)
                (tmp_path / label / f"{n}.png").write_bytes(encode(n))
            return load_dataset(ask("folder", tmp_path, **said))
        if request.param == "csv":
            for n, _ in rows:
                (tmp_path / f"{n}.png").write_bytes(encode(n))
            text = "\n".join(["path,label", *(f'{n}.png,"{label}"' for n, label in rows)])
            (tmp_path / "all.csv").write_text(text, encoding="utf-8")
            return load_dataset(ask("csv", tmp_path / "all.csv", **said))
        images = [{"bytes": encode(n), "path": ""} for n, _ in rows]
        pq.write_table(pa.table({"image": images, "label": [label for _, label in rows]}), tmp_path / "all.parquet")
        return load_dataset(ask("parquet", tmp_path / "all.parquet", **said))

    return load_labelled


class TestEverySource:
    def test_names_that_look_the_same_are_one_class(self, load: Load) -> None:
        dataset = load([NFC, NFD, "dog", "dog ", "dog\u200b"])
        assert dataset.classes == (NFC, "dog")
        assert sum(map(len, dataset.splits)) == 25
        assert any("are read as one class" in note for note in dataset.notes)

    def test_names_that_differ_by_case_are_warned_of(self, load: Load) -> None:
        dataset = load(["dog", "Dog"])
        assert dataset.classes == ("Dog", "dog")
        assert any("differ only in upper and lower case" in warning for warning in dataset.warnings)

    def test_labels_that_may_mean_none_are_asked_about(self, load: Load) -> None:
        with pytest.raises(DataError, match=r'(?s)data.path = .*"nan": .*unlabelled = \["nan"\].*unlabelled = \[\]'):
            load(["cat", "dog", "nan"])

    def test_they_are_left_out_or_classes_as_the_study_says(self, load: Load) -> None:
        out = load(["cat", "dog", "nan"], unlabelled=["nan"])
        assert (out.classes, sum(map(len, out.splits)), out.skipped) == (("cat", "dog"), 10, ())
        assert '5 images are left out as unlabelled ("nan")' in out.notes
        assert load(["cat", "dog", "nan"], unlabelled=[]).classes == ("cat", "dog", "nan")
