"""The desk: what is wrong, and how each strategy stands."""
