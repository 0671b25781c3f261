"""How often the keyword rules alone send a labelled request to the right agent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

from services.domain.policies.keyword_routing import route_by_keywords
from tests.bench.figure import Figure
from tests.bench.stage import Stage

_DATA = Path(__file__).parents[1] / "data"
_GOAL = 80.0


async def routing_shares(_: Stage) -> AsyncIterator[Figure]:
    """One share for the requests the rules were made with, one for those held out."""
    for part, file in (("known", "routing.jsonl"), ("held out", "routing_held_out.jsonl")):
        requests = [json.loads(line) for line in (_DATA / file).read_text(encoding="utf-8").splitlines()]
        right = 0
        for request in requests:
            route = route_by_keywords(request["text"])
            right += route is not None and route.agent == request["agent"]
        share = 100 * right / len(requests)
        yield Figure(
            "routing", share, "% right", f">= {_GOAL:.0f} %", share >= _GOAL, part=f"{part} ({len(requests)} requests)"
        )
