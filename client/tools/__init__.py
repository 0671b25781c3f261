"""The six tools a client runs for an agent, inside one directory and within fixed limits."""
