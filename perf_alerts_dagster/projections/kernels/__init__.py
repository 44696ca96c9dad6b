"""The compiled part of the simulations: loops over numbers, and how they are compiled."""
