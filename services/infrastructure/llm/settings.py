"""What the model client must be told; the server's configuration is turned into this at start-up."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.infrastructure.llm.profiles import DEFAULT_PROFILE


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """One model at one address.

    `base_url` is used as given: requests go to `{base_url}/chat/completions`, so it ends in `/v1` where the provider
    wants that. An empty `api_key` sends no Authorization header. `profile` is one of `PROFILES`.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    profile: str = DEFAULT_PROFILE


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How often a question is asked again before its answer has begun. Times are seconds.

    After n attempts the wait is drawn between `min_wait` and that times 2ⁿ, at most `max_wait`. All questions
    of a process share a budget: in any minute, retries make up at most `budget_share` of the questions asked, or
    `budget_floor` if that is more.
    """

    attempts: int = 3
    min_wait: float = 2.0
    max_wait: float = 10.0
    budget_share: float = 0.2
    budget_floor: int = 3


@dataclass(frozen=True, slots=True)
class OpenAiSettings:
    """The route to ask first, those to ask instead, and how patient to be. All times are seconds.

    `first_token_timeout` runs from sending the request to the first piece of text, reasoning or tool call;
    `progress_timeout` between two such pieces; `transport_timeout` between two bytes of any kind, comments included;
    `total_timeout` over the whole answer. Time the reader of the answer takes counts for the total only.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    profile: str = DEFAULT_PROFILE
    fallbacks: tuple[ModelRoute, ...] = ()
    retry: RetrySettings = RetrySettings()
    connect_timeout: float = 10.0
    first_token_timeout: float = 120.0
    progress_timeout: float = 60.0
    transport_timeout: float = 120.0
    total_timeout: float = 600.0
    max_connections: int = 1000

    def route(self, model: str | None = None) -> ModelRoute:
        """The first route, with another model if one is named."""
        return ModelRoute(self.base_url, model or self.model, self.api_key, self.profile)
