"""What is promised, what was found out about it, and the one line about each at the end."""

from __future__ import annotations

from enum import Enum

from rich.text import Text

from client.chat.screen import Screen


class Promise(Enum):
    """What the demo claims: (name, claim). Each has to be checked, else it counts as broken."""

    ROUTING = (
        "routing",
        "each request went to the agent it is for, once on keywords, as the model's choice made no sense",
    )
    BATCH = ("tools", "parallel calls came in one order; their results, sent in another order, had one continuation")
    HELD = ("approval", "nothing runs before its approval: an early result was refused")
    EDITED = ("approval", "the edited call ran as edited, and the history and the model say so")
    REJECTED = ("approval", "the rejected call never ran, and the model was told why")
    FILE_RULES = (
        "file rules",
        "the architect wrote a .md and nothing else; other paths were refused before anybody was asked",
    )
    READ_ONLY = ("file rules", "ask was offered no tool that writes or runs anything")
    RESULT = ("completion", "the test that failed passes, and the answer is what the agent declared")
    G1 = ("G1", "durable before seen: a replay from 0, and one after kill -9, were what had been seen, byte for byte")
    G2 = ("G2", "events are numbered 1, 2, 3 … without gaps or repeats, over a cut connection and a restart")
    G3 = ("G3", "one turn at a time: a second message was refused while the first was being worked on")
    G4 = ("G4", "killed with -9 while an approval waited: it still waited after the restart, and the decision counted")
    G5 = ("G5", "a message sent again under its request id had its effect once")
    G6 = ("G6", "each tool was ordered once, its result recorded once, each approval decided once")
    G7 = (
        "G7",
        "the model, a strict judge of tool calls and their results, was asked once per answer and refused no history",
    )
    G8 = ("G8", "another owner found neither the session nor its approvals")
    G9 = ("G9", "the server stopped in order, and told an open stream where to go on")


class Verdicts:
    """Collects what was found out; a promise holds if something was, and nothing against it."""

    def __init__(self) -> None:
        self._found: dict[Promise, list[tuple[bool, str]]] = {promise: [] for promise in Promise}

    @property
    def all_hold(self) -> bool:
        """Whether every promise was checked and none is broken."""
        return not any(self.against(promise) for promise in Promise)

    def check(self, promise: Promise, held: bool, finding: str) -> None:
        """Keeps what was found out; `finding` says what was looked at, for the case that it did not hold."""
        self._found[promise].append((held, finding))

    def against(self, promise: Promise) -> list[str]:
        """What speaks against a promise; empty if it holds."""
        found = self._found[promise]
        return [finding for held, finding in found if not held] if found else ["never checked"]

    def show(self, screen: Screen) -> None:
        """One line a promise, and one for each thing that speaks against it."""
        for promise in Promise:
            name, claim = promise.value
            against = self.against(promise)
            mark = Text("✗ ", style="bold red") if against else Text("✓ ", style="bold green")
            screen.line(Text.assemble(mark, (f"{name:<11}", "bold"), claim))
            for finding in against:
                screen.line(f"    not so: {finding}", "red")
