"""Pure functions between the contract's messages and the domain; what a request may hold is checked here."""
