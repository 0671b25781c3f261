"""Faults at named points of the server, and the races between its callers."""
