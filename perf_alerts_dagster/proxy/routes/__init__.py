"""The endpoints, one module per concept."""
