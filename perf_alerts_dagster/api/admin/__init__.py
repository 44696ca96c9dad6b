"""Audit and thresholds."""
