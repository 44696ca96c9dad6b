"""Dagster as the scheduler: its state, runs, triggers and pauses."""
