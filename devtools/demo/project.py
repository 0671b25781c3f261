"""A small project with a bug and a test that finds it, for as long as the demo runs."""

from __future__ import annotations

import asyncio
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEST_COMMAND = f"{shlex.quote(sys.executable)} -m unittest"

PRICES = '''"""What an order costs. All amounts are in cents."""


def order_total(lines: list[tuple[int, int]], discount_percent: int = 0) -> int:
    """The price of all (price, quantity) lines, less a discount that is rounded down."""
    total = sum(price for price, quantity in lines)
    return total - total * discount_percent // 100
'''

PRICES_WITH_FLOATS = PRICES.replace("sum(price for", "sum(price * quantity for").replace(
    "total - total * discount_percent // 100", "int(total * (1 - discount_percent / 100))"
)

PRICES_FIXED = PRICES.replace("sum(price for", "sum(price * quantity for")

TESTS = """import unittest

from prices import order_total


class OrderTotalTest(unittest.TestCase):
    def test_every_piece_counts(self) -> None:
        self.assertEqual(order_total([(250, 2), (100, 1)]), 600)

    def test_the_discount_is_rounded_down(self) -> None:
        self.assertEqual(order_total([(999, 1)], discount_percent=10), 900)
"""

MORE_TESTS = f"""{TESTS}
    def test_an_empty_order_costs_nothing(self) -> None:
        self.assertEqual(order_total([]), 0)
"""


class Project:
    """The project's files, looked at from outside of any agent."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def text(self, path: str) -> str | None:
        """A file's text; None if there is no such file."""
        file = self.root / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    async def tests_pass(self) -> bool:
        """Runs the tests, whatever any agent says about them."""
        process = await asyncio.create_subprocess_exec(
            # Without -B, what was compiled now could hide a change that comes in the same second.
            *(sys.executable, "-B", "-m", "unittest"),
            cwd=self.root,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait() == 0


@contextmanager
def temporary_project() -> Iterator[Project]:
    """A directory of its own with the project in it, removed on leaving."""
    with tempfile.TemporaryDirectory(prefix="agent-runtime-demo-") as directory:
        root = Path(directory, "project")
        root.mkdir()
        (root / "prices.py").write_text(PRICES, encoding="utf-8")
        (root / "test_prices.py").write_text(TESTS, encoding="utf-8")
        yield Project(root)
