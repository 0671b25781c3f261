"""Layer rules that need more than a list of forbidden libraries."""

from __future__ import annotations

import sys

from tests.architecture.source_tree import PACKAGES, ROOT, imported_modules, python_files


def test_the_domain_imports_only_the_standard_library_and_itself() -> None:
    strangers = [
        f"{path}:{line} imports {module}"
        for path, tree in python_files("services/domain")
        for line, module in imported_modules(tree)
        if module.split(".")[0] not in sys.stdlib_module_names and not module.startswith("services.domain")
    ]
    assert strangers == []


def test_generated_code_is_imported_by_its_contract_name() -> None:
    wrong = [
        f"{path}:{line} imports {module}"
        for path, tree in python_files(*PACKAGES, "tests")
        for line, module in imported_modules(tree)
        if module.split(".")[0] == "generated"
    ]
    assert wrong == []


def test_every_folder_of_code_is_a_package() -> None:
    """The import contracts do not see a folder without `__init__.py`, and would hold without being looked at."""
    folders = {path.parent for path, _ in python_files(*PACKAGES)}
    assert sorted(folder.as_posix() for folder in folders if not (ROOT / folder / "__init__.py").exists()) == []
