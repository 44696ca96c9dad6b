"""Who asks: keys, tokens, roles, and what happens to those who guess."""
