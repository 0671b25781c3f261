"""What runs beside the requests: lease keeping, recovery, the outbox relay."""
