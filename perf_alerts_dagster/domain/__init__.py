"""Pure decisions about performance: no clock, no randomness of its own, no framework."""
