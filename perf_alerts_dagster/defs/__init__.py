"""The Dagster definitions: jobs, schedules, sensor, retries, resources, assets."""
