"""What a strategy may do, issued on a date from rows before it, and what limits mean in it."""
