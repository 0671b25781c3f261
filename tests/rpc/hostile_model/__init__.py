"""A model that means harm, in every place of a turn: nothing runs that its agent may not, or that nobody approved."""
