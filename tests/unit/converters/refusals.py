"""What a test asks of checks: which fields they found wrong."""

from __future__ import annotations

from collections.abc import Callable

from services.domain.errors import InvalidArgumentError


def violations(work: Callable[[], object]) -> list[str]:
    """The paths of the fields found wrong."""
    try:
        work()
    except InvalidArgumentError as error:
        return [violation.field for violation in error.violations]
    return []
