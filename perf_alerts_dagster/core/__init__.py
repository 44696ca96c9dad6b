"""Shared basics: errors, severities, the alerts, JSON, times, files."""
