"""How each strategy stands: one row per strategy and group, kept as sessions are judged."""
