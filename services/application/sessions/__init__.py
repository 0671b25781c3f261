"""Use cases of SessionService, one file per RPC."""
