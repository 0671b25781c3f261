"""Names that say nothing attract code that belongs nowhere."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.source_tree import PACKAGES, project_files, python_files

_FOLDERS = (*PACKAGES, "protos", "tests")
_EMPTY_WORDS = {"util", "utils", "common", "core", "helper", "helpers", "shared", "manager", "managers", "misc", "impl"}
_EMPTY_CLASS = re.compile(r"^(I[A-Z][a-z]|Abstract[A-Z])|(Manager|Helper|Utils?|Impl)$")


def test_no_file_or_folder_has_an_empty_name() -> None:
    found = [
        path.as_posix()
        for path in project_files()
        if path.parts[0] in _FOLDERS
        and any(word in _EMPTY_WORDS for part in path.with_suffix("").parts for word in re.split(r"[_.-]", part))
    ]
    assert found == []


def test_no_class_has_an_empty_name() -> None:
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in python_files(*PACKAGES, "tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and _EMPTY_CLASS.search(node.name)
    ]
    assert found == []


@pytest.mark.parametrize("name", ["SessionManager", "ISession", "AbstractStore", "StoreImpl", "JsonUtils"])
def test_the_rule_for_classes_sees(name: str) -> None:
    assert _EMPTY_CLASS.search(name)


@pytest.mark.parametrize("name", ["InputAccepted", "IdempotencyRow", "IDToken", "ManagerRole", "Session"])
def test_the_rule_for_classes_leaves_alone(name: str) -> None:
    assert not _EMPTY_CLASS.search(name)


def test_every_module_says_why_it_exists() -> None:
    silent = [
        path.as_posix()
        for path, tree in python_files(*PACKAGES, "tests")
        if tree.body and not ast.get_docstring(tree)  # an empty __init__.py only says "package"
    ]
    assert silent == []
