"""Judge a record by rules: breaches, their severities and their evidence."""
