"""Who a call's metadata proves to be, and what it does not."""

from __future__ import annotations

import pytest

from server.authentication.bearer import CallMetadata
from server.authentication.development import DevelopmentAuthenticator
from server.authentication.selection import authentication_mode, authenticator_for
from server.authentication.static_keys import StaticKeyAuthenticator
from server.config import Settings
from server.identity_settings import ServiceKey
from services.application.ports import Principal, Role
from services.domain.errors import GatewayKeyRequiredError, InvalidArgumentError, UnauthenticatedError

OLD, NEW, PLAIN = "old-" + "k" * 32, "new-" + "k" * 32, "plain-" + "k" * 32

KEYS = [
    ServiceKey.model_validate({"key": OLD, "name": "gateway", "owner": "acme", "gateway": True}),
    ServiceKey.model_validate({"key": NEW, "name": "gateway", "owner": "acme", "gateway": True}),
    ServiceKey.model_validate({"key": PLAIN, "name": "batch", "owner": "batch", "roles": ["user", "operator"]}),
]


@pytest.fixture
def authenticator() -> StaticKeyAuthenticator:
    return StaticKeyAuthenticator(KEYS)


async def test_a_key_is_its_principal(authenticator: StaticKeyAuthenticator) -> None:
    batch = await authenticator.authenticate([("authorization", f"Bearer {PLAIN}"), ("other", "x")])
    assert batch == Principal("batch", "batch", frozenset({Role.USER, Role.OPERATOR}))


async def test_both_keys_of_a_rotation_are_valid(authenticator: StaticKeyAuthenticator) -> None:
    for key in (OLD, NEW):
        assert (await authenticator.authenticate([("authorization", f"bearer {key}")])).name == "gateway"


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "")],
        [("authorization", PLAIN)],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer")],
        [("authorization", f"Basic {PLAIN}")],
        [("authorization", f"Bearer {PLAIN} ")],
        [("authorization", f"Bearer  {PLAIN}")],
        [("authorization", f"Bearer {PLAIN[:-1]}")],
        [("authorization", f"Bearer {PLAIN.upper()}")],
        [("authorization", "Bearer \udc80ä\x00\n")],
        [("authorization", f"Bearer {PLAIN}"), ("authorization", f"Bearer {PLAIN}")],
        [("authorization", f"Bearer {PLAIN}"), ("authorization-bin", b"x")],
        [("authorization-bin", f"Bearer {PLAIN}".encode())],
        [("authorization", f"Bearer {PLAIN}".encode())],
    ],
)
async def test_anything_else_is_nobody(authenticator: StaticKeyAuthenticator, metadata: CallMetadata) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        await authenticator.authenticate(metadata)
    # The same words whatever was wrong.
    assert str(caught.value) == "a valid credential is required"


async def test_only_a_gateway_names_the_owner(authenticator: StaticKeyAuthenticator) -> None:
    gateway = await authenticator.authenticate([("authorization", f"Bearer {OLD}"), ("x-owner-id", "user:1@acme.org")])
    assert gateway == Principal("gateway", "user:1@acme.org")
    for owner in ("batch", "someone", "not valid", ""):
        with pytest.raises(GatewayKeyRequiredError):
            await authenticator.authenticate([("authorization", f"Bearer {PLAIN}"), ("x-owner-id", owner)])


@pytest.mark.parametrize(
    "owner",
    [
        [("x-owner-id", "")],
        [("x-owner-id", "a b")],
        [("x-owner-id", "a\n")],
        [("x-owner-id", "x" * 129)],
        [("x-owner-id", "' OR 1=1 --")],
        [("x-owner-id", "a"), ("x-owner-id", "a")],
        [("x-owner-id", "a"), ("x-owner-id-bin", b"a")],
        [("x-owner-id-bin", b"a")],
    ],
)
async def test_a_malformed_owner_never_falls_back_to_the_gateways_own(
    authenticator: StaticKeyAuthenticator, owner: list[tuple[str, str | bytes]]
) -> None:
    for chosen, credential in ((authenticator, f"Bearer {OLD}"), (DevelopmentAuthenticator(), "")):
        with pytest.raises(InvalidArgumentError, match="x-owner-id"):
            await chosen.authenticate([("authorization", credential), *owner])


async def test_in_development_everyone_is_dev_and_may_act_for_others() -> None:
    dev = authenticator_for(Settings(dev=True))
    assert await dev.authenticate([]) == Principal("dev", "dev", frozenset({Role.USER, Role.OPERATOR}))
    assert (await dev.authenticate([("x-owner-id", "alice")])).owner_id == "alice"


async def test_keys_count_in_development_too_and_without_both_nobody_gets_in() -> None:
    for settings in (Settings(dev=True, keys=tuple(KEYS)), Settings(keys=())):
        with pytest.raises(UnauthenticatedError):
            await authenticator_for(settings).authenticate([])
    assert authentication_mode(Settings(keys=tuple(KEYS))) == "3 static keys"
    assert authentication_mode(Settings(dev=True)) == "none (development)"
