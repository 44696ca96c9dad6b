"""Shared basics: errors, severities, the five alerts, JSON, times, files."""
