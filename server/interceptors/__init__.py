"""What happens to every call before and after its handler; `chain.py` says in which order and why."""
