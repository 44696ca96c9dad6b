"""Dagster as the product needs it: its state, its runs, triggers and pauses."""
