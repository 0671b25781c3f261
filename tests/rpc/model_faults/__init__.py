"""Every way a model call fails, in every place of a turn where one is made: each ends in one defined way."""
