"""What every room may use: errors, severities, the five alerts, JSON, times, files."""
