"""Ways to know who calls, behind the port `Authenticator`."""
