"""The catalogue of rules: limits in force, what each is worth, and its budget."""
