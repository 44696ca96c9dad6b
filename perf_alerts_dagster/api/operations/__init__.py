"""Health, metrics, test messages, reload."""
