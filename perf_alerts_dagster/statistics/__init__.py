"""Measures of returns and trades, and tests on them: pure functions over arrays."""
