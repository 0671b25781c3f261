"""What each kind of input does to a session; `accept.py` chooses by kind."""
