"""Use cases of AgentService, one file per RPC."""
