"""Replicas that can be broken, a load that comes back, and the judge of what it saw."""
