"""list_files: what is in a directory."""

from __future__ import annotations

from client.tools.arguments import Arguments
from client.tools.bounded_text import JsonObject
from client.tools.failure import ToolFailedError
from client.tools.walking import Walk, matches
from client.tools.workspace import Workspace

MAX_ENTRIES = 2000


def list_files(workspace: Workspace, arguments: Arguments) -> JsonObject:
    """Paths from the workspace's root; those of directories end in `/`. At most 2,000, then a note says so."""
    path = arguments.text("path", ".")
    pattern = arguments.text("pattern", "")
    names = workspace.locate(path)
    if not workspace.is_directory(names):
        raise ToolFailedError(f"{path} is not a directory")
    recursive = arguments.flag("recursive", False) or "**" in pattern
    walk = Walk(workspace, names, hidden=arguments.flag("include_hidden", False), recursive=recursive)
    entries: list[str] = []
    note = ""
    for found, _, _, is_directory in walk:
        if pattern and not matches(found, pattern):
            continue
        if len(entries) == MAX_ENTRIES:
            note = f"only the first {MAX_ENTRIES} entries; name a smaller path or a pattern"
            break
        entries.append(f"{found}/" if is_directory else found)
    notes = "; ".join(part for part in (note, walk.note) if part)
    return {"path": path, "entries": entries} | ({"note": notes} if notes else {})
