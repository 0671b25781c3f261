"""The ways to a model that a question may take, in their order, each with its circuit and what its provider takes."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from services.application.ports.circuits import Circuit, Circuits
from services.infrastructure.llm.profiles import PROFILES, RequestShape
from services.infrastructure.llm.settings import ModelRoute, OpenAiSettings


@dataclass(slots=True)
class OpenedRoute:
    """A route as this process uses it; `shape` changes when the provider turns out to want another."""

    url: httpx.URL
    model: str
    api_key: str
    circuit: Circuit
    shape: RequestShape


class Routes:
    """All routes of a process; those of models that agents name are added when first asked for."""

    def __init__(self, settings: OpenAiSettings, circuits: Circuits) -> None:
        """Raises ValueError for a route that names no http or https URL, or no known profile."""
        self._settings = settings
        self._circuits = circuits
        self._first: dict[str | None, OpenedRoute] = {None: self._open(settings.route())}
        self._fallbacks = [self._open(route) for route in settings.fallbacks]

    def of(self, model: str | None) -> list[OpenedRoute]:
        """The first route, with this model if one is named, then the fallbacks with models of their own."""
        if model not in self._first:
            self._first[model] = self._open(self._settings.route(model))
        return [self._first[model], *self._fallbacks]

    def _open(self, route: ModelRoute) -> OpenedRoute:
        if route.profile not in PROFILES:
            raise ValueError(f"no such profile: {route.profile}; there are {', '.join(PROFILES)}")
        return OpenedRoute(
            url=_completions_url(route.base_url),
            model=route.model,
            api_key=route.api_key,
            circuit=self._circuits.of_route(route.base_url, route.model),
            shape=PROFILES[route.profile],
        )


def _completions_url(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(f"{base_url.rstrip('/')}/chat/completions")
    except httpx.InvalidURL as error:
        raise ValueError("the model's base_url is not a URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("the model's base_url must start with http:// or https:// and name a host")
    return url
