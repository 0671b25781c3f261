"""What the clients of one session saw and did: the evidence that the judge compares with what is stored."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import json_format

from tests.support.runtime_client import Event


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event and when it arrived, in seconds of `time.time`."""

    at: float
    event: Event


@dataclass(slots=True)
class View:
    """One stream, from its call to its end. `after` is the number it was to go on after, None for a new input.

    `gaps` are declared holes, first and last number each; `end` says how it ended.
    """

    kind: str
    replica: str
    after: int | None
    request_id: str = ""
    started: float = 0.0
    events: list[SeenEvent] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    end: str = "open"


@dataclass(slots=True)
class History:
    """One session from its creation on. `complaints` are things a client was told and should not have been."""

    session_id: str
    views: list[View] = field(default_factory=list)
    executions: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    turns: int = 0

    def seen(self) -> list[SeenEvent]:
        """Every event of every view, in the order of arrival."""
        return sorted((seen for view in self.views for seen in view.events), key=lambda seen: seen.at)

    def save(self, path: Path, stored: list[Event], violations: list[str]) -> None:
        """Writes all of it as JSON, for whoever looks into a failure."""
        views = [
            {
                "kind": view.kind,
                "replica": view.replica,
                "after": view.after,
                "request_id": view.request_id,
                "started": view.started,
                "gaps": view.gaps,
                "end": view.end,
                "events": [[round(seen.at, 4), _as_dict(seen.event)] for seen in view.events],
            }
            for view in self.views
        ]
        content = {
            "session_id": self.session_id,
            "violations": violations,
            "executions": dict(self.executions),
            "views": views,
            "stored": [_as_dict(event) for event in stored],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _as_dict(event: Event) -> object:
    return json_format.MessageToDict(event, preserving_proto_field_name=True)
