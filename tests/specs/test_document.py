"""YAML as plain data with lines, and every way a file may be wrong before its meaning matters."""

import math
import os
from pathlib import Path

import pytest

from specs.document import MOST_BYTES, MOST_DEPTH, read_document, to_yaml
from specs.errors import RequestError


def read(folder: Path, content: str | bytes) -> object:
    path = folder / "spec.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(path).value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E3", 1e3),
        (".5", 0.5),
        ("-.5e+1", -5.0),
        ("012", 12),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("yes", "yes"),
        ("2012-01-01", "2012-01-01"),
        ("true", True),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("'12'", "12"),
        ("0x10", "0x10"),
    ],
)
def test_scalars_follow_the_core_schema(tmp_path: Path, text: str, value: object) -> None:
    assert read(tmp_path, f"key: {text}") == {"key": value}


@pytest.mark.parametrize(
    "value",
    [
        "1e5", "012", ".5", "null", "~", "true", "no", "", "- x", "a: b", "'q'", '"', "# c", "&a", "!!int 3", "汉字",
        "a\\b", "x" * 500, 1e-6, 3.0, math.inf, -2, True, None, (1, (2.5, "1"), {"k": ()}), {"a": {"b": (1, 1)}},
    ],
)  # fmt: skip
def test_what_is_written_is_read_back(tmp_path: Path, value: object) -> None:
    """Twice the same object too: no anchors, no aliases."""
    data = {"key": value, "again": value}
    text = to_yaml(data)
    assert read(tmp_path, text) == data
    assert "&id" not in text


def test_lines_are_remembered_for_keys_and_items(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("a: 1\nb:\n  - x\n  - {c: 2}\n")
    document = read_document(path)
    assert document.value == {"a": 1, "b": ("x", {"c": 2})}
    assert document.where(("a",)) == f"{path}:1"
    assert document.where(("b", 1, "c")) == f"{path}:4"
    assert document.where(("b", 7, "not there")) == f"{path}:2"


def test_folded_text_is_one_line(tmp_path: Path) -> None:
    assert read(tmp_path, "title: >\n  one\n  two\n") == {"title": "one two"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("a: 1\na: 2\n", ":2: duplicate key 'a' (first on line 1)"),
        ("a: [1, 2\nb: 3\n", ":2: not valid YAML"),
        ("a: 1\n\tb: 2\n", ":2: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML: but found another document"),
        ("1: a\n", ":1: a key must be text"),
        ("? [a]\n: b\n", ":1: a key must be text"),
        (
            "a: !!python/object/apply:os.system ['true']\n",
            ":1: the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        ("a: !!binary aGk=\n", ":1: the tag 'tag:yaml.org,2002:binary' is not allowed"),
        ("a: !mine x\n", ":1: the tag '!mine' is not allowed"),
        ("a: !!int x\n", ":1: 'x' does not suit its tag"),
        ("a: *nowhere\n", ":1: not valid YAML: found undefined alias 'nowhere'"),
        ('a: "\\e[31mred"\n', ":1: control characters in '\\x1b[31mred'"),
        ('a: "\\u202Egnp.exe"\n', ":1: control characters"),
        ('a: "\\UFFFFFFFF"\n', "a character that YAML does not allow"),
        ("a: \x07\n", "a character that YAML does not allow"),
        (b"a: 1\nb: \xff\xfe\n", ":2: not UTF-8 text"),
        (f"a: {10**16}\n", ":1: a number too large"),
        ("a: " + "9" * 5000 + "\n", "a text of 5000 characters"),
        ("a: " + "x" * 2000 + "\n", "a text of 2000 characters"),
        ("a: " + "[" * 60 + "]" * 60 + "\n", f"nested more than {MOST_DEPTH} levels deep"),
        ("[" * 30_000, f"nested more than {MOST_DEPTH} levels deep"),
        ("{a: " * 15_000, f"nested more than {MOST_DEPTH} levels deep"),
        ("a: &a [*a]\n", f"nested more than {MOST_DEPTH} levels deep"),
        ("#" * (MOST_BYTES + 1), "larger than 64 KiB"),
    ],
)
def test_one_line_for_every_malformed_file(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(tmp_path, content)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'spec.yaml'}:")
    assert said in message
    assert "\n" not in message
    assert "\x1b" not in message


def test_a_bomb_of_aliases_is_refused_before_it_expands(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]  # 10^10 values
    with pytest.raises(RequestError, match="values once its aliases are expanded"):
        read(tmp_path, "\n".join(lines))


def test_harmless_aliases_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


def test_merge_keys_are_not_special(tmp_path: Path) -> None:
    assert read(tmp_path, "a: {<<: {b: 1}}\n") == {"a": {"<<": {"b": 1}}}


def test_what_is_not_a_file_is_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    for path, said in (
        (pipe, "not a file"),
        (tmp_path, "not a file"),
        (Path("/dev/zero"), "not a file"),
        (tmp_path / "missing.yaml", "no such file"),
        (tmp_path / ("x" * 300 + ".yaml"), "cannot be read: File name too long"),
    ):
        with pytest.raises(RequestError, match=said):
            read_document(path)
