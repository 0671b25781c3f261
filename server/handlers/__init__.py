"""One class per service of the contract: proto in, use case, proto out, and no decisions."""
