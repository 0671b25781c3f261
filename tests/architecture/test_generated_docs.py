"""Pages that a command writes are what it writes now."""

from __future__ import annotations

from server.settings_reference import settings_reference
from tests.architecture.source_tree import ROOT


def test_the_page_of_settings_is_fresh() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    assert page == settings_reference(), "run `make generate`"
