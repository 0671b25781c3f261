"""Keeps what a failed part of a row has shown, in build/, for whoever looks into it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import json_format

from tests.faults.harness.verdict import BUILD
from tests.support.runtime_client import Event


def directory_of(row: int) -> Path:
    """Where the histories of a row are."""
    return BUILD / f"row{row:02}"


def keep(row: int, name: str, **content: object) -> None:
    """Writes one JSON file; `as_json` helps with events, what JSON has no word for is written as Python shows it."""
    directory = directory_of(row)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(json.dumps(content, indent=1, default=repr), encoding="utf-8")


def as_json(events: Iterable[Event]) -> list[object]:
    """Events as JSON has them."""
    return [json_format.MessageToDict(event) for event in events]
