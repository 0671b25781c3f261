"""The table of all settings as Markdown, made from the settings themselves so that it cannot be wrong."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ByteSize, SecretStr

from server.config import ENV_PREFIX, NESTED_DELIMITER, Settings


def settings_reference() -> str:
    """The page: one row per variable with its default and meaning, in the order of the code."""
    lines = [
        "# Settings",
        "",
        "Read once, at start. Times are in seconds; sizes take units (`256KiB`). A flag wins over its variable.",
        "",
        "| Variable | Default | Meaning |",
        "|---|---|---|",
        *_rows(Settings, ENV_PREFIX),
    ]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows: list[str] = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if isinstance(default, BaseModel):
            rows += _rows(type(default), f"{prefix}{name.upper()}{NESTED_DELIMITER}")
        else:
            meaning = (field.description or "").replace("|", "\\|")
            rows.append(f"| `{prefix}{name.upper()}` | {_shown(default)} | {meaning} |")
    return rows


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default is None or default in ("", (), {}):
        return ""
    if isinstance(default, ByteSize):
        return f"`{default.human_readable(separator='').replace('.0', '')}`"
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"
