"""Silences: what they mute, until when, and why."""
