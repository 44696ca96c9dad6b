"""Incidents and silences."""
