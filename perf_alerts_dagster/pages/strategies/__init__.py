"""One strategy: its state, its plots and its rules."""
