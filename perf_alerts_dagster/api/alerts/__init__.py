"""The five alerts: their schedules, their sessions and their limits."""
