"""What agents are known to have done: by what tools report, never by words in their output."""

from __future__ import annotations

import json

import pytest

from services.domain.agent_work import AgentWork, CompilationState
from services.domain.input import ToolResult
from services.domain.policies.work_facts import MAX_FACTS, work_after
from tests.support.changes import NOW, a_call


def did(work: AgentWork, name: str, reported: str = "", agent: str = "coder", **arguments: object) -> AgentWork:
    call = a_call(name=name, agent=agent, arguments_json=json.dumps(arguments))
    return work_after(work, call, ToolResult("c1", reported), NOW)


class TestAWrite:
    def test_creates_what_the_tool_says_is_new_and_changes_what_was_there(self) -> None:
        work = did(AgentWork(), "write_file", '{"created": true}', path="new.py")
        work = did(work, "write_file", '{"created": false}', path="old.py")
        work = did(work, "write_file", "written", path="other.py")
        assert work.coder.files_created == ("new.py",)
        assert work.coder.files_modified == ("old.py", "other.py")

    def test_of_what_was_created_here_makes_it_no_other_file(self) -> None:
        work = did(AgentWork(), "write_file", '{"created": true}', path="new.py")
        assert did(work, "write_file", "", path="./new.py") == work

    def test_is_counted_once_as_the_newest(self) -> None:
        work = AgentWork()
        for path in ("a", "b", "x/../a"):
            work = did(work, "write_file", "", path=path)
        assert work.coder.files_modified == ("b", "a")

    @pytest.mark.parametrize(("path", "is_document"), [("DESIGN.md", True), ("a.rst", True), ("notes", False)])
    def test_of_the_architect_is_a_document(self, path: str, is_document: bool) -> None:
        work = did(AgentWork(), "write_file", '{"created": true}', agent="architect", path=path)
        assert work.architect.documents_created == ((path,) if is_document else ())
        assert work.coder.files_created == (() if is_document else (path,))

    @pytest.mark.parametrize(
        "reported", ['{"created": 1}', '{"created": "true"}', "created: true", "[true]", "[" * 10**5]
    )
    def test_is_new_by_nothing_but_the_word_of_the_tool(self, reported: str) -> None:
        assert did(AgentWork(), "write_file", reported, path="a").coder.files_modified == ("a",)


class TestACommand:
    @pytest.mark.parametrize(
        ("reported", "exit_code"),
        [
            ('{"exit_code": 0}', 0),
            ('{"exit_code": -9}', -9),
            ('{"exit_code": true}', None),
            ('{"exit_code": "0"}', None),
            ('{"exit_code": 1e3}', None),
            (f'{{"exit_code": {2**31}}}', None),
            ("exit code 0, success!", None),
            ("", None),
        ],
    )
    def test_ended_as_its_exit_code_says(self, reported: str, exit_code: int | None) -> None:
        work = did(AgentWork(), "execute_command", reported, command="ls")
        assert [(each.command, each.exit_code) for each in work.coder.commands_executed] == [("ls", exit_code)]
        assert work.coder.commands_executed[0].execute_time == NOW

    @pytest.mark.parametrize(
        ("command", "exit_code", "state"),
        [
            ("make all", 0, CompilationState.SUCCEEDED),
            ("cargo build --release", 101, CompilationState.FAILED),
            ("ls", 0, None),
            ("remake it", 0, None),
        ],
    )
    def test_that_builds_says_whether_it_compiles(
        self, command: str, exit_code: int, state: CompilationState | None
    ) -> None:
        work = did(AgentWork(), "execute_command", json.dumps({"exit_code": exit_code}), command=command)
        assert work.coder.last_compilation_state is state

    def test_that_says_nothing_leaves_what_was_known(self) -> None:
        work = did(AgentWork(), "execute_command", '{"exit_code": 1}', command="make")
        work = did(work, "execute_command", "error: everything is broken", command="make")
        assert work.coder.last_compilation_state is CompilationState.FAILED

    def test_is_kept_with_its_beginning_and_only_the_newest_are(self) -> None:
        work = AgentWork()
        for n in range(MAX_FACTS + 5):
            work = did(work, "execute_command", "", command=f"{n} " + "x" * 2_000)
        assert len(work.coder.commands_executed) == MAX_FACTS
        assert work.coder.commands_executed[-1].command.startswith(f"{MAX_FACTS + 4} ")
        assert all(len(each.command) == 1_000 for each in work.coder.commands_executed)


def test_logs_that_debug_reads_are_remembered_and_other_reads_are_not() -> None:
    work = did(AgentWork(), "read_file", "", agent="debug", path="var/./app.log")
    assert work.debug.logs_analyzed == ("var/app.log",)
    for agent, path in [("debug", "app.py"), ("coder", "app.log")]:
        assert did(work, "read_file", "", agent=agent, path=path) == work


def test_other_calls_leave_no_facts() -> None:
    for name in ("list_files", "search_in_code", "deploy", "create_directory"):
        assert did(AgentWork(), name, '{"created": true, "exit_code": 0}', path="a") == AgentWork()
