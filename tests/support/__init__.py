"""Real servers and fakes that several kinds of tests use."""
