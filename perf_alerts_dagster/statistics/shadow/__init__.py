"""Live rows against those that the model itself makes of the same dates."""
