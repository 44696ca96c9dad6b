"""The rules of the five alerts: what each measures and where it breaches."""
