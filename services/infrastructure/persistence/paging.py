"""Keyset pages: one item more than asked tells whether there is a next page, and large items end a page early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from services.application.ports import Page, PageKey

R = TypeVar("R")
T = TypeVar("T")

MAX_PAGE_BYTES = 1024 * 1024


def page_of(
    rows: Sequence[R],
    limit: int,
    *,
    item: Callable[[R], T],
    key: Callable[[R], PageKey],
    size: Callable[[R], int] = lambda _: 0,
) -> Page[T]:
    """The page that `limit + 1` fetched rows make: at most `limit` items and about 1 MiB, at least one item."""
    taken: list[R] = []
    total = 0
    for row in rows[:limit]:
        total += size(row)
        if taken and total > MAX_PAGE_BYTES:
            break
        taken.append(row)
    more = len(taken) < len(rows)
    return Page(tuple(item(row) for row in taken), key(taken[-1]) if more else None)
