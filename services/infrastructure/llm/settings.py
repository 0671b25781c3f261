"""What the model client must be told; the server's configuration is turned into this at start-up."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OpenAiSettings:
    """One route to a model. All times are seconds.

    `base_url` is used as given: requests go to `{base_url}/chat/completions`, so it ends in `/v1` where the provider
    wants that. An empty `api_key` sends no Authorization header.

    `first_token_timeout` runs from sending the request to the first piece of text, reasoning or tool call;
    `progress_timeout` between two such pieces; `transport_timeout` between two bytes of any kind, comments included;
    `total_timeout` over the whole answer. Time the reader of the answer takes counts for the total only.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    connect_timeout: float = 10.0
    first_token_timeout: float = 120.0
    progress_timeout: float = 60.0
    transport_timeout: float = 120.0
    total_timeout: float = 600.0
    max_connections: int = 1000

    @property
    def completions_url(self) -> str:
        """The address every request goes to."""
        return f"{self.base_url.rstrip('/')}/chat/completions"
