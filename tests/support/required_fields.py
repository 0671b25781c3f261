"""What a request of each RPC must hold beside ids before the server looks anything up."""

from __future__ import annotations

from typing import Any

from agent_runtime.v1 import approval_pb2, approval_rule_pb2, input_pb2
from tests.support.rpcs import Rpc

_NO_APPROVAL = "approval_" + "0" * 32


def required_fields(rpc: Rpc) -> dict[str, Any]:
    """Fields that make a request of this RPC well-formed; an approval or input they name does not exist."""
    match rpc.name.partition("/")[2]:
        case "GetAgent":
            return {"agent": "universal"}
        case "SwitchAgent":
            return {"agent": "debug"}
        case "UpdateSession":
            return {"description": "new"}
        case "SendMessage":
            return {"user_message": input_pb2.UserMessage(text="hello")}
        case "WithdrawInput":
            return {"input_id": "input_" + "0" * 32}
        case "GetApproval":
            return {"approval_id": _NO_APPROVAL}
        case "DecideApproval":
            decision = approval_pb2.DECISION_APPROVE
            return {
                "decision": input_pb2.ApprovalDecision(
                    approval_id=_NO_APPROVAL, arguments_hash="0" * 64, decision=decision
                )
            }
        case "CreateApprovalRule":
            return {
                "scope": approval_rule_pb2.APPROVAL_RULE_SCOPE_SESSION,
                "tool": "write_file",
                "effect": approval_rule_pb2.APPROVAL_EFFECT_ASK,
            }
        case "DeleteApprovalRule":
            return {"approval_rule_id": "rule_" + "0" * 32}
        case _:
            return {}
