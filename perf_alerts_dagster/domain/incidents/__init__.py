"""The life of an incident: pure decisions over frozen values; the time is an argument."""
