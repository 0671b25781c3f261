"""Which way of authentication the settings ask for."""

from __future__ import annotations

from server.authentication.development import DevelopmentAuthenticator
from server.authentication.static_keys import StaticKeyAuthenticator
from server.config import Settings
from services.application.ports import Authenticator


def authenticator_for(settings: Settings) -> Authenticator:
    """Static keys, unless the settings are for development and hold none; without both, nobody gets in."""
    return DevelopmentAuthenticator() if settings.dev and not settings.keys else StaticKeyAuthenticator(settings.keys)


def authentication_mode(settings: Settings) -> str:
    """The same for people, such as `2 static keys`."""
    if not settings.keys:
        return "none (development)"
    return f"{len(settings.keys)} static key{'s' if len(settings.keys) > 1 else ''}"
