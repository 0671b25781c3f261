"""Picks the reply for a request: the first that fits and is not used up, else an echo, so one script serves many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from devtools.scripted_model.frames import Compiled, compile_reply
from devtools.scripted_model.script import Reply, Script, Text, When


class Casting:
    """A script being used up. Made anew for every script, on one event loop."""

    def __init__(self, script: Script, *, echo_delay: float) -> None:
        self._entries = [_Entry(reply) for reply in script.replies]
        self._echo_delay = echo_delay

    def choose(self, request: Mapping[str, object]) -> tuple[Reply, Compiled]:
        """The reply to play, which counts as used from now on."""
        scene = _Scene(request)
        for entry in self._entries:
            if entry.available and entry.fits(scene):
                entry.used += 1
                return entry.reply, entry.compiled
        words = " ".join(scene.last_user.split())
        words = words if len(words) <= 200 else words[:199] + "…"
        answer = f"You said: {words}" if words else "You said nothing."
        echo = Reply(parts=(Text(text=answer, chunk_delay=self._echo_delay),))
        return echo, compile_reply(echo)


class _Entry:
    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.compiled = compile_reply(reply)
        self.used = 0
        self._pattern = re.compile(reply.when.last_user_matches) if reply.when.last_user_matches else None

    @property
    def available(self) -> bool:
        return self.reply.repeat or self.used < self.reply.times

    def fits(self, scene: _Scene) -> bool:
        when: When = self.reply.when
        return (
            (when.last_user_contains is None or when.last_user_contains in scene.last_user)
            and (self._pattern is None or self._pattern.search(scene.last_user) is not None)
            and (when.last_role is None or when.last_role == scene.last_role)
            and (when.system_contains is None or when.system_contains in scene.system)
            and (when.longer_than is None or when.longer_than < scene.characters)
            and (when.has_tools is None or when.has_tools == scene.has_tools)
            and (when.model is None or when.model == scene.model)
        )


class _Scene:
    """What the conditions of replies look at."""

    def __init__(self, request: Mapping[str, object]) -> None:
        messages = request["messages"]
        assert isinstance(messages, list)
        self.last_role = messages[-1]["role"]
        self.last_user = next((_content(m) for m in reversed(messages) if m["role"] == "user"), "")
        self.system = "\n".join(_content(m) for m in messages if m["role"] in ("system", "developer"))
        self.characters = sum(len(_content(message)) for message in messages)
        self.has_tools = bool(request.get("tools"))
        self.model = request["model"]


def _content(message: Mapping[str, object]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts: Sequence[object] = content if isinstance(content, list) else ()
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))
