"""Authentication: API keys, tokens, permissions, revocation and the limit on failed attempts."""
