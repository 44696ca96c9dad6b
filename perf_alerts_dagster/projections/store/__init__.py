"""Where issued projections are kept."""
