"""`python -m devtools.demo`: exit code 0 if every promise held, 1 if not."""

from __future__ import annotations

import asyncio
import sys

from rich.console import Console

from devtools.demo.telling import tell


def main() -> int:
    """Tells the story on standard output; returns the exit code."""
    return 0 if asyncio.run(tell(Console(highlight=False))) else 1


if __name__ == "__main__":
    sys.exit(main())
