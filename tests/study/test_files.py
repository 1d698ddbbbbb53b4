"""Files: what can't be read, what is read from bytes, names that studies get."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frostline.errors import StudyError
from frostline.study import check_study, load_study

GOOD = '[data]\nsource = "digits"\n[[arms]]\n'


def only_problem(name: str | Path) -> str:
    (problem,) = check_study(name)
    with pytest.raises(StudyError, match=r".+") as caught:
        load_study(name)
    assert str(caught.value) == str(problem)
    return str(problem)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_missing_file() -> None:
    built_in = 'there is no such file, and the built-in studies are "cifar10-exercise" and "starter"'
    assert only_problem("nowhere/x.toml") == f"nowhere/x.toml: {built_in}"
    assert only_problem("startr") == f'startr: {built_in}; did you mean "starter"?'
    assert only_problem("cifar10") == f'cifar10: {built_in}; did you mean "cifar10-exercise"?'
    Path("my-study.toml").write_text(GOOD)
    assert only_problem("my-stdy.toml") == f'my-stdy.toml: {built_in}; did you mean "my-study.toml"?'
    assert only_problem("my-study") == f'my-study: {built_in}; did you mean "my-study.toml"?'
    assert only_problem("") == "no study was given"


def test_what_is_no_file() -> None:
    Path("folder.toml").mkdir()
    assert only_problem("folder.toml") == "folder.toml: is a folder, not a study file"
    os.mkfifo("pipe.toml")  # opening it would wait forever
    assert only_problem("pipe.toml") == "pipe.toml: is not a regular file"
    assert only_problem("/dev/zero") == "/dev/zero: is not a regular file"


def test_names_that_no_file_can_have() -> None:
    assert only_problem("a\0b") == "a\\x00b: can't be read: embedded null byte"
    assert only_problem("x" * 5000).endswith("can't be read: File name too long")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read() -> None:
    Path("secret.toml").write_text(GOOD)
    Path("secret.toml").chmod(0)
    assert only_problem("secret.toml") == "secret.toml: can't be read: Permission denied"


def test_a_file_in_another_encoding() -> None:
    Path("latin.toml").write_bytes("# \u00e4\n[data]\n# gr\u00fc\u00df".encode("latin-1"))
    assert only_problem("latin.toml") == "latin.toml:1:3: is not UTF-8 text: byte 0xe4; save it as UTF-8"
    Path("wide.toml").write_bytes(GOOD.encode("utf-16"))
    assert only_problem("wide.toml") == "wide.toml:1:1: is not UTF-8 text: byte 0xff; save it as UTF-8"
    Path("cut.toml").write_bytes("# \u00e4\n# \u00e4\u00e4".encode()[:-1])
    assert only_problem("cut.toml") == "cut.toml:2:4: is not UTF-8 text: byte 0xc3; save it as UTF-8"


def test_a_file_of_zeros_and_a_huge_one() -> None:
    Path("zeros.toml").write_bytes(bytes(100))
    assert only_problem("zeros.toml") == "zeros.toml:1:1: not valid TOML: invalid statement"
    Path("huge.toml").write_text("#" * 1_000_001)
    expected = "huge.toml: is larger than 1,000,000 bytes, too large for a study file"
    assert only_problem("huge.toml") == expected


def test_windows_files_are_read() -> None:
    Path("windows.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_study("windows.toml").data.source == "digits"
    Path("bad.toml").write_bytes(b"\xef\xbb\xbf" + b"nme = 1\r\n" + GOOD.replace("\n", "\r\n").encode())
    assert only_problem("bad.toml") == 'bad.toml:1:1: nme = 1: unknown key; did you mean "name"?'


def test_a_study_is_named_after_its_file() -> None:
    for file, name in [("how-deep.toml", "how-deep"), ("a b.c.toml", "a b.c"), (".hidden.toml", "hidden")]:
        Path(file).write_text(GOOD)
        assert load_study(file).name == name
    Path("other.toml").write_text('name = "mine"\n' + GOOD)
    assert load_study(Path("other.toml")).name == "mine"
    Path("a:b.toml").write_text(GOOD)
    assert only_problem("a:b.toml").startswith('a:b.toml: name = "a:b": comes from the file\'s name and must not start')


def test_a_file_may_have_a_built_in_name() -> None:
    Path("starter").write_text('name = "mine"\n' + GOOD)
    assert load_study("starter").name == "starter"
    assert load_study("./starter").name == "mine"


def test_only_the_first_hundred_problems_are_written_out() -> None:
    Path("many.toml").write_text(GOOD + f"epochs = [{', '.join(str(-n) for n in range(150))}]")
    assert len(check_study("many.toml")) == 150
    with pytest.raises(StudyError, match=r"epochs\[0\]") as caught:
        load_study("many.toml")
    lines = str(caught.value).split("\n")
    assert len(lines) == 101
    assert lines[-1] == "and 50 more problems"
    assert len(caught.value.problems) == 150
