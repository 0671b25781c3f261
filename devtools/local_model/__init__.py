"""Model servers that are not ours, as processes on this machine: a small real model, and a mock that others wrote."""
