"""The false-alarm budget: what is stated, what was opened, what is left."""
