"""What every room may use: errors, severities, the alerts, JSON, times, files."""
