"""What kind of call each is, for its limits; decided by what was asked, and by the decoded input of SendMessage."""

from __future__ import annotations

from enum import StrEnum

from google.protobuf.descriptor_pb2 import MethodOptions

from agent_runtime.v1 import (
    agent_service_pb2,
    approval_service_pb2,
    message_service_pb2,
    session_service_pb2,
)
from server.interceptors.needs import SEND_MESSAGE

_FILES = (agent_service_pb2, approval_service_pb2, message_service_pb2, session_service_pb2)
_STARTING = frozenset({"user_message", "resume"})


class CallClass(StrEnum):
    """Kinds of calls that are limited apart from each other, by the names that settings and refusals use."""

    WORK = "work"
    ANSWERS = "answers"
    WATCHES = "watches"
    READS = "reads"


def _classes() -> dict[str, CallClass]:
    classes = {}
    for file in _FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                reads = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
                kind = CallClass.READS if reads else CallClass.ANSWERS
                classes[f"/{service.full_name}/{method.name}"] = kind
    return classes | {"/agent_runtime.v1.MessageService/WatchSession": CallClass.WATCHES}


_CLASSES = _classes()


def class_of(method: str, request: object) -> CallClass | None:
    """The class of one call; None for what is not limited: operators' calls.

    Work is what makes the model work anew: a user message or a resume. A re-attachment (`after_sequence`) does not,
    nor does what a tool has done or a person has decided or answered: they go on with what was let in, and are answers,
    like everything else that changes something.
    """
    if method == SEND_MESSAGE and isinstance(request, message_service_pb2.SendMessageRequest):
        starts = request.WhichOneof("input") in _STARTING and not request.HasField("after_sequence")
        return CallClass.WORK if starts else CallClass.ANSWERS
    return _CLASSES.get(method)
