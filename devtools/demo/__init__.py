"""`make demo`: a coding session from start to end on this machine, with every promise checked while it happens."""
