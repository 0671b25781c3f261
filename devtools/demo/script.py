"""What the model says in the demo: the words and calls of three requests, each with the router's choice before it."""

from __future__ import annotations

import json

from devtools.demo.project import MORE_TESTS, PRICES, PRICES_WITH_FLOATS, TEST_COMMAND
from devtools.scripted_model import Reply, When, call, gate, reasoning, reply, text, tool_calls
from devtools.scripted_model.script import Part

FIX = "The test of prices.py fails. Please fix it."
QUESTION = "How does order_total treat the discount?"
DESIGN = "Design how vouchers should work, and write the architecture down."

FIX_RESULT = "Fixed: `order_total` ignored quantities. The tests pass, with a new one for the empty order."
ANSWER_BEFORE_THE_CUT = "It sums price times quantity over all lines, all in cents. Then it takes the discount off: "
ANSWER_AFTER_THE_CUT = (
    "`total * discount_percent // 100`, a whole number of cents. As `//` rounds down, the customer pays the odd cent: "
    "10 % off 9.99 is 9.00, not 8.99."
)
REFUSED_PATHS = ("vouchers.py", "../vouchers.md", "docs/vouchers.md/../vouchers.py")
DESIGN_PATH = "docs/vouchers.md"
DESIGN_TEXT = """# Vouchers

A voucher is an amount in cents, taken off after the discount, and never below zero.

- `order_total` stays as it is; a new function `amount_due(total, voucher)` does the rest.
- A voucher that is worth more than the order keeps its rest.
"""
DESIGN_RESULT = f"The design is in `{DESIGN_PATH}`: vouchers count after the discount and never below zero."
GATE = "in the middle of the answer"

_DELAY = 0.015


def _choice(request: str, answer: str) -> Reply:
    return reply(text(answer), when=When(last_user_contains=request, has_tools=False))


def _says(request: str, *parts: Part) -> Reply:
    return reply(*parts, when=When(last_user_contains=request, has_tools=True))


def _words(content: str) -> Part:
    return text(content, chunk_delay=_DELAY)


def _write(call_id: str, path: str, content: str) -> Part:
    return tool_calls(call("write_file", {"path": path, "content": content}, id=call_id))


def _done(call_id: str, result: str) -> Part:
    return tool_calls(call("attempt_completion", {"result": result}, id=call_id))


SCRIPT = (
    _choice(FIX, json.dumps({"agent": "coder", "confidence": "high", "reason": "a failing test is to be fixed"})),
    _says(
        FIX,
        reasoning("The code and its test first; both may be wrong. ", chunk_delay=_DELAY),
        _words("I will look at the code and its test first."),
        tool_calls(
            call("list_files", {"path": "."}, id="look_list"),
            call("read_file", {"path": "prices.py"}, id="look_code"),
            call("read_file", {"path": "test_prices.py"}, id="look_test"),
        ),
    ),
    _says(
        FIX,
        _words("The sum ignores the quantity of each line. This should do:"),
        _write("write_fix", "prices.py", PRICES_WITH_FLOATS),
    ),
    _says(
        FIX,
        _words("Understood, whole cents. I will keep the old version beside it, just in case:"),
        _write("write_copy", "prices_old.py", PRICES),
    ),
    _says(
        FIX,
        _words("No copies then. Here is the test for the empty order:"),
        _write("write_test", "test_prices.py", MORE_TESTS),
    ),
    _says(
        FIX,
        _words("Now the tests, all of them."),
        tool_calls(call("execute_command", {"command": TEST_COMMAND, "timeout": 60}, id="run_tests")),
    ),
    _says(FIX, _done("fix_done", FIX_RESULT)),
    # Models wrap their JSON in words and fences, whatever the prompt says.
    _choice(
        QUESTION,
        'Somebody wants to understand code.\n```json\n{"agent": "ask", "confidence": "medium", '
        '"reason": "a question about existing code"}\n```',
    ),
    _says(QUESTION, tool_calls(call("read_file", {"path": "prices.py"}, id="ask_read"))),
    _says(QUESTION, _words(ANSWER_BEFORE_THE_CUT), gate(GATE), _words(ANSWER_AFTER_THE_CUT)),
    _choice(DESIGN, "I would be happy to help! Vouchers are a great idea."),
    _says(
        DESIGN,
        _words("I will put it where the code is."),
        tool_calls(
            *(
                call("write_file", {"path": path, "content": DESIGN_TEXT}, id=f"design_refused_{n}")
                for n, path in enumerate(REFUSED_PATHS)
            )
        ),
    ),
    _says(
        DESIGN,
        _words("I may only write documents. So here is one:"),
        _write("design_write", DESIGN_PATH, DESIGN_TEXT),
    ),
    _says(DESIGN, _done("design_done", DESIGN_RESULT)),
)
