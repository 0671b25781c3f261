"""The server takes what the contract's comments say it takes, and refuses what is one more, by the path of the field.

Every number in the comment of a field of a request must be read by one of the rules here, and every limit that the
server has must be in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from agent_runtime.v1 import approval_pb2, approval_rule_pb2, input_pb2, session_pb2, tool_pb2, turn_pb2
from tests.support.belongings import NOTHING, USES
from tests.support.documented import comments
from tests.support.readers import READERS
from tests.support.rpcs import RPCS
from tests.unit.converters.refusals import violations

UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20}
_TOOL = tool_pb2.ClientTool(name="mine", description="d", parameters_json="{}")
_LIMITS = turn_pb2.TurnLimits(max_model_calls=1)
_CONDITION = approval_rule_pb2.ArgumentCondition(
    argument="a", operator=approval_rule_pb2.ARGUMENT_OPERATOR_EQ, value_json="1"
)
_EDITED = input_pb2.ApprovalDecision(
    approval_id="a", arguments_hash="h", decision=approval_pb2.DECISION_APPROVE_WITH_EDITS, edited_arguments_json="{}"
)
_JSON_RESULT = input_pb2.ToolResult(tool_call_id="c", json="1")
# Good requests with more in them than those of the uses, so that every field of every message has a place.
_MORE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SessionService/CreateSession", {"client_tools": [_TOOL], "labels": {"k": "v"}}),
    (
        "SessionService/UpdateSession",
        {
            "session_id": "s",
            "labels": session_pb2.LabelSet(labels={"k": "v"}),
            "client_tools": tool_pb2.ClientToolSet(tools=[_TOOL]),
        },
    ),
    (
        "MessageService/SendMessage",
        {"session_id": "s", "user_message": input_pb2.UserMessage(text="t"), "limits": _LIMITS},
    ),
    ("MessageService/SendMessage", {"session_id": "s", "resume": input_pb2.Resume(limits=_LIMITS)}),
    (
        "MessageService/SendMessage",
        {"session_id": "s", "tool_results": input_pb2.ToolResults(results=[_JSON_RESULT])},
    ),
    ("MessageService/SendMessage", {"session_id": "s", "approval_decision": _EDITED}),
    (
        "MessageService/SendMessage",
        {"session_id": "s", "followup_answer": input_pb2.FollowupAnswer(followup_id="f", option_id="o")},
    ),
    ("ApprovalService/DecideApproval", {"session_id": "s", "decision": _EDITED}),
    (
        "ApprovalService/CreateApprovalRule",
        {"scope": 2, "tool": "write_file", "effect": 2, "conditions": [_CONDITION]},
    ),
)
LATER = {"UserMessage.workspace_revision"}


@dataclass(frozen=True)
class Place:
    """One field of one good request."""

    rpc: str
    request: Any
    path: tuple[str | int, ...]
    field: Any

    @property
    def name(self) -> str:
        """As in the comments: `Session.title`."""
        return f"{self.field.containing_type.name}.{self.field.name}"

    @property
    def dotted(self) -> str:
        """As in a violation: `tools[0].name`."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in (*self.path, self.field.name))
        return text.removeprefix(".")

    @property
    def comment(self) -> str:
        """What the contract says of the field, or of the choice that it is one of."""
        oneof = self.field.containing_oneof
        own = comments()[self.name]
        is_choice = oneof is not None and len(oneof.fields) > 1
        return f"{comments()[f'{self.field.containing_type.name}.{oneof.name}']} {own}" if is_choice else own

    def holder(self, request: Any) -> Any:
        for step in self.path:
            request = request[step] if isinstance(step, int) else getattr(request, step)
        return request

    def wrong(self, change: Callable[[Any], None]) -> list[str]:
        """The fields found wrong when the message that holds this one is changed so."""
        request = type(self.request)()
        request.CopyFrom(self.request)
        change(self.holder(request))
        return violations(lambda: READERS[self.rpc](request))

    def refused(self, value: Any) -> bool:
        """Whether this value is what is wrong."""
        wrong = self.wrong(lambda holder: _put(holder, self.field, value))
        # What is too large may make the list that it is in too large as well.
        assert all(self.dotted.startswith(path) for path in wrong), (self, wrong)
        return bool(wrong)


def _put(holder: Any, field: Any, value: Any) -> None:
    if field.is_repeated:
        del getattr(holder, field.name)[:]
        getattr(holder, field.name).extend(value)
    else:
        setattr(holder, field.name, value)


def _places(rpc: str, request: Any, message: Any, path: tuple[str | int, ...]) -> Iterator[Place]:
    for field in message.DESCRIPTOR.fields:
        yield Place(rpc, request, path, field)
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if field.message_type is None or is_map or field.message_type.file.package.startswith("google"):
            continue
        if field.is_repeated and getattr(message, field.name):
            yield from _places(rpc, request, getattr(message, field.name)[0], (*path, field.name, 0))
        elif not field.is_repeated and message.HasField(field.name):
            yield from _places(rpc, request, getattr(message, field.name), (*path, field.name))


def _all_places() -> dict[str, Place]:
    """The richest requests first; one place of a field in each RPC is enough."""
    by_name = {rpc.name: rpc for rpc in RPCS}
    bases = [(name, by_name[name].request(**fields)) for name, fields in _MORE]
    bases += [(use.rpc.name, use.request(NOTHING)) for use in USES.values()]
    places: dict[str, Place] = {}
    for rpc, request in bases:
        assert violations(lambda rpc=rpc, request=request: READERS[rpc](request)) == []  # type: ignore[misc]
        for place in _places(rpc, request, request, ()):
            places.setdefault(f"{rpc} {place.dotted}", place)
    return places


PLACES = _all_places()


def claims(pattern: str) -> pytest.MarkDecorator:
    """Parametrises with each place whose comment says so, and with what the groups of the pattern are."""
    found = {}
    for name, place in PLACES.items():
        match = re.search(pattern, place.comment)
        if match is not None and place.name not in LATER:
            found[name] = (place, match)
    assert found, pattern
    return pytest.mark.parametrize(("place", "match"), found.values(), ids=found)


def number(text: str) -> int:
    return int(text.replace(",", ""))


CHARACTERS = r"(?<!values have )[Aa]t most ([\d,]+) characters"
BYTES = r"[Aa]t most ([\d,]+) (KiB|MiB)(?! a )"
IN_ALL = r"in all at most (\d+) KiB"
FORM = r"(?<!keys )[Mm]atch(?:es)? `\^\[(.+)\]\{1,(\d+)\}\$`"
LABELS = r"At most (\d+) entries; keys match `\^\[(.+)\]\{1,(\d+)\}\$`, values have at most (\d+) characters"
ENTRIES = r"At most (\d+)(?: tools|, all)|^1 to (\d+) results"
RANGE = r"(\d+) to ([\d,]+)(?!.* results)"
AT_LEAST = r"[Aa]t least (\d+)(?! random bits)(?=[ ;.,])"
PAGE = r"Default (\d+), at most (\d+)\."
DEPTH = r"to depth (\d+)"
RULES = (CHARACTERS, BYTES, IN_ALL, FORM, LABELS, ENTRIES, RANGE, AT_LEAST, PAGE, DEPTH)
# Numbers that are no limits: values with a meaning, and examples.
PLAIN = r"(?i)\b0(?=[:;, ]|\.)|number[s]? |UTF-8|RE2|122 random bits|default \(?[\d,]+\)?|\(1,000\)|0: "


def test_every_number_in_a_comment_is_read() -> None:
    unread = {}
    for place in PLACES.values():
        rest = place.comment
        for rule in (*RULES, PLAIN):
            rest = re.sub(rule, "", rest)
        if re.search(r"\d", rest) and place.name not in LATER:
            unread[place.name] = rest
    assert unread == {}


@claims(CHARACTERS)
def test_characters(place: Place, match: re.Match[str]) -> None:
    limit = number(match[1])
    for letter in "xж🌍":
        assert not place.refused(letter * limit) or "name" in place.field.name
        assert place.refused(letter * (limit + 1))


@claims(BYTES)
def test_bytes(place: Place, match: re.Match[str]) -> None:
    if place.field.is_repeated:
        return  # see the sum of tools
    if "TOOL_RESULT_TOO_LARGE" in place.comment:
        return  # judged where results are recorded: see test_tool_results.py
    limit = number(match[1]) * UNITS[match[2]]
    before, after = ('{"k":"', '"}') if "json" in place.field.name else ("", "")
    for letter in ("x", "ж"):
        room = limit - len(before + after)
        text = before + "y" * (room % len(letter.encode())) + letter * (room // len(letter.encode())) + after
        assert len(text.encode()) == limit
        assert not place.refused(text)
        assert place.refused(text + " ")


@claims(IN_ALL)
def test_tools_in_all(place: Place, match: re.Match[str]) -> None:
    limit = number(match[1]) * UNITS["KiB"]

    def tools(total: int) -> list[tool_pb2.ClientTool]:
        each = 64 * 1024
        sizes = [each] * (total // each) + ([total % each] if total % each else [])
        return [
            tool_pb2.ClientTool(
                name=f"t{n:02}", description="d", parameters_json='{"k": "' + "x" * (size - 4 - 9) + '"}'
            )
            for n, size in enumerate(sizes)
        ]

    assert sum(len(tool.name + tool.description + tool.parameters_json) for tool in tools(limit)) == limit
    assert not place.refused(tools(limit))
    assert place.refused([*tools(limit)[:-1], *tools(limit + 20)[-2:]])


@claims(FORM)
def test_forms(place: Place, match: re.Match[str]) -> None:
    inside, longest = re.compile(f"[{match[1]}]"), int(match[2])
    for code in range(256):
        assert place.refused(f"a{chr(code)}") == (inside.fullmatch(chr(code)) is None), chr(code)
    assert not place.refused("a" * longest)
    assert place.refused("a" * (longest + 1))
    assert place.refused("a\n")


@claims(LABELS)
def test_labels(place: Place, match: re.Match[str]) -> None:
    entries, inside, longest, characters = int(match[1]), re.compile(f"[{match[2]}]"), int(match[3]), int(match[4])

    def wrong(labels: Mapping[str, str]) -> list[str]:
        def change(holder: Any) -> None:
            getattr(holder, place.field.name).clear()
            getattr(holder, place.field.name).update(labels)

        return place.wrong(change)

    assert wrong({f"k{n}": "" for n in range(entries)}) == []
    assert wrong({f"k{n}": "" for n in range(entries + 1)}) == [place.dotted]
    assert wrong({"k" * longest: "ж" * characters}) == []
    assert wrong({"k" * (longest + 1): ""}) != []
    assert wrong({"": ""}) != []
    assert wrong({"k": "ж" * (characters + 1)}) == [f'{place.dotted}["k"]']
    for code in range(256):
        assert (wrong({f"k{chr(code)}": ""}) == []) == (inside.fullmatch(chr(code)) is not None), chr(code)


@claims(ENTRIES)
def test_entries(place: Place, match: re.Match[str]) -> None:
    most, at_least_one = int(match[1] or match[2]), match[2] is not None
    (one,) = getattr(place.holder(place.request), place.field.name)
    names = {"ClientTool": "name", "ToolResult": "tool_call_id"}

    def many(count: int) -> list[Any]:
        entries = []
        for n in range(count):
            entry = type(one)()
            entry.CopyFrom(one)
            if type(one).__name__ in names:
                setattr(entry, names[type(one).__name__], f"n{n}")
            entries.append(entry)
        return entries

    assert not place.refused(many(most))
    assert place.refused(many(most + 1))
    assert place.refused([]) == at_least_one


@claims(RANGE)
def test_ranges(place: Place, match: re.Match[str]) -> None:
    lowest, highest = number(match[1]), number(match[2])
    assert [place.refused(value) for value in (lowest, highest, highest + 1, -1)] == [False, False, True, True]
    if " 0: " not in place.comment:
        assert place.refused(lowest - 1)


@claims(AT_LEAST)
def test_least_values(place: Place, match: re.Match[str]) -> None:
    lowest = number(match[1])
    assert not place.refused(lowest)
    assert place.refused(lowest - 1)
    assert not place.refused(2**31 - 1)


@claims(PAGE)
def test_page_sizes(place: Place, match: re.Match[str]) -> None:
    default, most = int(match[1]), int(match[2])

    def size(asked: int) -> int:
        request = type(place.request)()
        request.CopyFrom(place.request)
        request.page_size = asked
        read: int = READERS[place.rpc](request)["limit"]
        return read

    assert [size(asked) for asked in (0, 1, most, most + 1, 2**31 - 1)] == [default, 1, most, most, most]
    assert place.refused(-1)
    assert place.refused(-(2**31))


@claims(DEPTH)
def test_depth(place: Place, match: re.Match[str]) -> None:
    depth = int(match[1])
    assert not place.refused("[" * depth + "]" * depth)
    assert place.refused("[" * (depth + 1) + "]" * (depth + 1))
    assert place.refused("[" * 200_000 + "]" * 200_000)


@claims(r"^Required")
def test_what_is_required(place: Place, match: re.Match[str]) -> None:
    oneof = place.field.containing_oneof
    wrong = place.wrong(lambda holder: holder.ClearField(oneof.name if oneof is not None else place.field.name))
    prefix = place.dotted.removesuffix(place.field.name)
    if oneof is not None:
        assert wrong == [f"{prefix}{oneof.name}"]
    elif place.field.message_type is not None and not place.field.is_repeated:
        # What such a message requires itself is named.
        assert wrong
        assert all(path.startswith(f"{place.dotted}.") for path in wrong)
    elif "with scope SESSION" not in place.comment:
        assert place.dotted in wrong


@claims(r"not blank|^Required; what the model reads to decide")
def test_what_must_not_be_blank(place: Place, match: re.Match[str]) -> None:
    for blank in (" ", "\n\t", "\u2003\u3000"):
        assert place.refused(blank)


@claims(r"More than zero")
def test_spans_of_time(place: Place, match: re.Match[str]) -> None:
    def wrong(seconds: int, nanos: int) -> bool:
        def change(holder: Any) -> None:
            span = getattr(holder, place.field.name)
            span.seconds, span.nanos = seconds, nanos

        found = place.wrong(change)
        assert set(found) <= {place.dotted}
        return bool(found)

    assert not wrong(0, 1)
    assert not wrong(315_576_000_000, 0)
    odd = [(0, 0), (-1, 0), (0, -1), (1, -1), (0, 10**9), (315_576_000_001, 0), (2**63 - 1, 0), (-(2**63), 0)]
    assert all(wrong(seconds, nanos) for seconds, nanos in odd)


TEXT_PLACES = {name: place for name, place in PLACES.items() if place.field.type == FieldDescriptor.TYPE_STRING}


@pytest.mark.parametrize("place", TEXT_PLACES.values(), ids=TEXT_PLACES)
def test_no_text_holds_nul_and_none_is_limited_in_secret(place: Place) -> None:
    if place.field.is_repeated or place.name in LATER:
        return
    if place.field.name != "page_token":
        assert place.refused("a\x00b") or place.refused('"a\x00b"')
    is_json = "json" in place.field.name
    if place.refused('{"k":"' + "x" * 2_000_000 + '"}' if is_json else "x" * 2_000_000):
        said = place.comment + (comments()["SessionService"] if _is_general(place) else "")
        assert re.search(f"{CHARACTERS}|{BYTES}|{FORM}|request_id|As in `CreateSession|{GENERAL}", said)


GENERAL = r"name of an agent has at most (\d+) characters, an id for which no other form is said at most (\d+)"


def _is_general(place: Place) -> bool:
    """Whether the field is one of those whose limit is said once for all."""
    return str(place.field.name).endswith(("_id", "agent", "_hash"))


def test_the_limits_that_are_said_once_for_all() -> None:
    said = re.search(GENERAL, comments()["SessionService"])
    assert said is not None
    seen = set()
    for place in TEXT_PLACES.values():
        if _is_general(place) and not re.search(f"{FORM}|As in `CreateSession", place.comment):
            if place.field.name in ("session_id", "request_id"):
                continue
            limit = int(said[1] if place.field.name.endswith("agent") else said[2])
            seen.add(limit)
            assert not place.refused("x" * limit), place.dotted
            assert place.refused("x" * (limit + 1)), place.dotted
    assert len(seen) == 2
