"""How estimates of tokens compare with what providers count, learned by each process as it goes."""

from __future__ import annotations

_LEAST_TOKENS = 1000  # of a question whose count teaches anything: in a small one the frame outweighs the text
_RANGE = (0.5, 4.0)
_WEIGHT = 0.2  # of one more count that is lower than expected; a higher one counts whole


class TokenGauge:
    """Corrects estimates by model; for one event loop. It forgets at a restart and is then right again soon."""

    def __init__(self) -> None:
        self._ratios: dict[str | None, float] = {}

    def tokens(self, model: str | None, estimate: int) -> int:
        """What the provider will count, as far as is known."""
        return round(estimate * self._ratios.get(model, 1.0))

    def estimate_within(self, model: str | None, tokens: int) -> int:
        """The largest estimate that is within so many tokens of the provider's."""
        return int(tokens / self._ratios.get(model, 1.0))

    def heard(self, model: str | None, estimate: int, tokens: int) -> None:
        """The provider has counted so many tokens in a question that was estimated at so many."""
        if estimate < _LEAST_TOKENS:
            return
        seen = min(max(tokens / estimate, _RANGE[0]), _RANGE[1])
        known = self._ratios.get(model, 1.0)
        self._ratios[model] = seen if seen > known else known + _WEIGHT * (seen - known)
