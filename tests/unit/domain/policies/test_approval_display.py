"""What a person is shown of a call: everything visible, nothing that passes for something else, never too long."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.approval_display import MAX_DISPLAY_BYTES, display_of

_HIDDEN = {
    "escape": "\x1b",
    "NUL": "\0",
    "bell": "\a",
    "backspace": "\b",
    "carriage return": "\r",
    "vertical tab": "\v",
    "form feed": "\f",
    "C1 control": "\x9b",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "right-to-left mark": "\u200f",
    "Arabic letter mark": "\u061c",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "byte order mark": "\ufeff",
    "soft hyphen": "\xad",
    "word joiner": "\u2060",
    "tag letter": "\U000e0041",
    "variation selector": "\ufe0f",
    "supplementary variation selector": "\U000e0101",
    "Mongolian variation selector": "\u180b",
    "grapheme joiner": "\u034f",
    "Hangul filler": "\u3164",
    "Braille blank": "\u2800",
    "no-break space": "\xa0",
    "ideographic space": "\u3000",
    "hair space": "\u200a",
    "private use": "\ue000",
    "unassigned": "\u0378",
    "noncharacter": "\uffff",
    "half a surrogate pair": "\ud800",
    "invisible note": "\U0001d159",
}
_FORBIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
_arguments = st.dictionaries(
    st.sampled_from(["path", "content", "command", "cwd", "timeout"]) | st.text(), _values, max_size=6
)
_tools = st.sampled_from(["write_file", "execute_command", "create_directory", "deploy"])


@pytest.mark.parametrize("char", _HIDDEN.values(), ids=_HIDDEN.keys())
@pytest.mark.parametrize(
    ("tool", "name"), [("execute_command", "command"), ("write_file", "content"), ("write_file", "path"), ("x", "y")]
)
def test_what_cannot_be_seen_is_written_out(tool: str, name: str, char: str) -> None:
    display = display_of(tool, {name: f"a{char}b"})
    assert f"a\\u{{{ord(char):X}}}b" in display.text
    assert char not in display.text
    assert display.has_hidden_characters


@pytest.mark.parametrize("value", [["a\u200b"], {"a\u200b": 1}, {"a": {"b": ["\u202e"]}}, "first\nsecond\u200b"])
def test_hidden_characters_are_found_wherever_they_are(value: object) -> None:
    assert display_of("deploy", {"to": value}).has_hidden_characters
    assert display_of("deploy", {"to\u200b": 1}).has_hidden_characters


@pytest.mark.parametrize("text", ["ls -la", "grep 'привет' *.md", "日本語 é ñ ß →", "a\tb", "a\nb\n", "😀"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    display = display_of("write_file", {"path": "a.txt", "content": text})
    assert display.text.split("\n| ", 1)[1].replace("\n| ", "\n") == text
    assert not display.has_hidden_characters


def test_a_command_is_shown_with_where_and_how_long_it_runs() -> None:
    display = display_of("execute_command", {"timeout": 120, "cwd": "web", "command": 'npm test -- --grep "a b"'})
    assert display.text == 'execute_command\ncommand: npm test -- --grep "a b"\ncwd: web\ntimeout: 120'


def test_a_write_is_shown_with_path_and_size_before_its_content() -> None:
    arguments = {"content": "import os\npath: other.py\n", "create_dirs": True, "path": "src/app.py"}
    assert display_of("write_file", arguments).text == (
        "write_file\npath: src/app.py\ncreate_dirs: true\ncontent: 3 lines, 25 bytes\n| import os\n| path: other.py\n| "
    )


def test_an_empty_file_is_said_to_be_empty() -> None:
    assert display_of("write_file", {"path": "a", "content": ""}).text.endswith("content: empty")


def test_lines_that_all_end_in_crlf_are_lines_and_a_lone_return_is_not() -> None:
    windows = display_of("write_file", {"path": "a", "content": "one\r\ntwo\r\n"})
    assert windows.text.endswith("lines end in CRLF\n| one\n| two\n| ")
    assert not windows.has_hidden_characters
    mixed = display_of("write_file", {"path": "a", "content": "one\r\ntwo\rthree\n"})
    assert "| one\\u{D}\n| two\\u{D}three" in mixed.text
    assert mixed.has_hidden_characters


def test_a_line_feed_in_a_command_is_a_line_of_its_own_and_cannot_pass_for_an_argument() -> None:
    display = display_of("execute_command", {"command": "ls\ncwd: /safe\nrm -rf x"})
    assert display.text == "execute_command\ncommand: 3 lines, 22 bytes\n| ls\n| cwd: /safe\n| rm -rf x"
    assert not display.has_hidden_characters


def test_text_that_looks_like_an_escape_is_told_from_one() -> None:
    literal = display_of("execute_command", {"command": r"echo \u{200B}"})
    hidden = display_of("execute_command", {"command": "echo \u200b"})
    assert literal.text != hidden.text
    assert not literal.has_hidden_characters


@pytest.mark.parametrize(
    ("one", "other"), [("3", 3), ("true", True), ("null", None), ("", None), ('{"a": 1}', {"a": 1}), ("[1]", [1])]
)
def test_texts_are_told_from_other_values(one: object, other: object) -> None:
    assert display_of("deploy", {"to": one}).text != display_of("deploy", {"to": other}).text


@given(_tools, _arguments)
def test_nothing_forbidden_is_ever_shown_and_nothing_is_too_long(tool: str, arguments: dict[str, object]) -> None:
    display = display_of(tool, arguments)
    assert len(display.text.encode()) <= MAX_DISPLAY_BYTES
    for char in display.text:
        assert char in " \n\t" or unicodedata.category(char) not in _FORBIDDEN_CATEGORIES


@given(_tools, _arguments, st.randoms(use_true_random=False))
def test_equal_calls_look_equal(tool: str, arguments: dict[str, object], order: random.Random) -> None:
    names = list(arguments)
    order.shuffle(names)
    assert display_of(tool, {name: arguments[name] for name in names}) == display_of(tool, arguments)


@given(st.lists(st.text(alphabet="ab\n:|\\u{1}\u200b", max_size=12), min_size=2, max_size=2, unique=True))
def test_different_commands_look_different(commands: list[str]) -> None:
    one, other = (display_of("execute_command", {"command": command, "cwd": "."}).text for command in commands)
    assert one != other


@pytest.mark.parametrize("char", ["a", "я", "\u200b", "😀"])
def test_a_long_text_is_cut_with_a_word_about_it_and_keeps_what_is_short(char: str) -> None:
    display = display_of("execute_command", {"command": char * 100_000, "cwd": "web", "timeout": 7})
    lines = display.text.split("\n")
    assert len(display.text.encode()) <= MAX_DISPLAY_BYTES
    assert lines[1:3] == ["cwd: web", "timeout: 7"]
    assert lines[-1].startswith("[cut here: the last ")
    assert lines[-1].endswith(" bytes are not shown]")
    assert not lines[-2].endswith(("\\", "\\u", "{200"))


def test_what_hides_in_the_part_that_is_cut_is_still_reported() -> None:
    display = display_of("write_file", {"path": "a", "content": "a" * 900_000 + "\u202e"})
    assert display.has_hidden_characters
