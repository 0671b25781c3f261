"""Use cases of ApprovalService, one file per RPC."""
