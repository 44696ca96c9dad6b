"""The endpoints beside the documented ones: incidents, strategies, operations, administration."""
