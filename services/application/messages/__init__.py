"""Use cases of MessageService, one file per RPC."""
