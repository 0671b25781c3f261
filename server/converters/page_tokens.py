"""Page tokens: where a list goes on, in a form that only this runtime can make and only its owner can use."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from copy import deepcopy

from agent_runtime.v1 import (
    agent_service_pb2,
    approval_service_pb2,
    message_service_pb2,
    session_history_pb2,
    session_service_pb2,
)
from server.converters import limits
from services.application.ports import Clock, PageKey
from services.domain.errors import InvalidArgumentError

ListRequest = (
    session_service_pb2.ListSessionsRequest
    | session_history_pb2.ListMessagesRequest
    | agent_service_pb2.ListAgentsRequest
    | agent_service_pb2.ListAgentSwitchesRequest
    | message_service_pb2.ListTurnsRequest
    | message_service_pb2.ListOpenToolCallsRequest
    | message_service_pb2.ListPendingInputsRequest
    | approval_service_pb2.ListApprovalsRequest
    | approval_service_pb2.ListApprovalRulesRequest
)


class PageTokens:
    """Makes and reads tokens. Replicas that serve each other's tokens need the same secret.

    A token is `<body>.<signature>`, both base64url; the body is JSON, the signature an HMAC-SHA256 over it and all the
    token is bound to: owner, RPC and every field of the request but the page's own.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, owner_id: str, request: ListRequest, next_after: PageKey | None) -> str:
        """The token for the page behind `next_after`; empty when there is none."""
        if next_after is None:
            return ""
        body = _base64(json.dumps([self._now() + limits.PAGE_TOKEN_SECONDS, *next_after]).encode())
        return f"{body}.{self._signature(owner_id, request, body)}"

    def read(self, owner_id: str, request: ListRequest) -> PageKey | None:
        """Where the asked page begins; None for the first page.

        Raises InvalidArgumentError for a token that is changed, expired, another owner's or of another list or filter.
        """
        token = request.page_token
        if not token:
            return None
        body, _, signature = token.partition(".")
        if len(token) <= limits.PAGE_TOKEN_CHARACTERS:
            # The texts are compared, not what they decode to: one signature has several base64 spellings.
            expected = self._signature(owner_id, request, body)
            if hmac.compare_digest(signature.encode(), expected.encode()):
                expiry, *after = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
                if self._now() < expiry:
                    return tuple(after)
        raise InvalidArgumentError.of("page_token", "is not a token of this list, or has expired")

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _signature(self, owner_id: str, request: ListRequest, body: str) -> str:
        bound = json.dumps([owner_id, request.DESCRIPTOR.full_name, _filter_hash(request), body])
        return _base64(hmac.digest(self._secret, bound.encode(), "sha256"))


def _filter_hash(request: ListRequest) -> str:
    """Of all that decides which items are listed, and in what order."""
    filter_ = deepcopy(request)
    filter_.ClearField("page_size")
    filter_.ClearField("page_token")
    return hashlib.sha256(filter_.SerializeToString(deterministic=True)).hexdigest()


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
