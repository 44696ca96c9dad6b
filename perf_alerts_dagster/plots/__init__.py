"""A rule's own plot of its own projection: what broke, by how much, and since when."""
