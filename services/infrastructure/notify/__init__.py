"""Hints between replicas that a watched session has grown: over PostgreSQL, or over Redis where that is configured."""
