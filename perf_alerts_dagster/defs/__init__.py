"""What Dagster is told: jobs, schedules, retries, resources."""
