"""The life of a breach that people are notified of: decisions over frozen values."""
