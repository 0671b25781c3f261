"""Lets a person change the arguments of a call: one line for a command, an editor for everything larger."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from client.chat.keyboard import Keyboard
from client.chat.tool_lines import json_object
from client.chat.visible import has_hidden


class NothingEditedError(Exception):
    """There are no other arguments now; the text says why."""


async def edited_arguments(tool_name: str, arguments_json: str, keyboard: Keyboard) -> str:
    """The arguments as a person wants them, as JSON. Raises NothingEditedError."""
    arguments = json_object(arguments_json)
    match tool_name, arguments:
        case "execute_command", {"command": str(command)} if "\n" not in command and not has_hidden(command):
            changed = {"command": await keyboard.ask("  $ ", prefill=command)}
        case "write_file", {"path": str(path), "content": str(content)}:
            changed = {"content": await _in_editor(content, PurePosixPath(path).suffix[:16], keyboard)}
        case _:
            text = json.dumps(arguments, indent=2, ensure_ascii=False)
            return _checked(arguments, json_object(await _in_editor(text, ".json", keyboard)))
    return _checked(arguments, {**arguments, **changed})


def _checked(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    if not after:
        raise NothingEditedError("that is no JSON object")
    if after == before:
        raise NothingEditedError("nothing was changed")
    return json.dumps(after, ensure_ascii=False)


async def _in_editor(text: str, suffix: str, keyboard: Keyboard) -> str:
    editor = (
        shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
        or [found for name in ("nano", "vi") if (found := shutil.which(name))][:1]
    )
    if not editor:
        raise NothingEditedError("no editor was found; set EDITOR")

    def edit() -> str:
        with tempfile.TemporaryDirectory(prefix="agent-runtime-edit-") as directory:
            path = Path(directory, f"arguments{suffix if suffix.isprintable() else ''}")
            # newline="" both ways: line ends stay what they are.
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
            try:
                subprocess.run([*editor, str(path)], check=True)
                with path.open(encoding="utf-8", newline="") as file:
                    return file.read()
            except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
                raise NothingEditedError(f"the editor failed: {error}") from error

    return await keyboard.in_foreground(edit)
