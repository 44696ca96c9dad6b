"""Scores of a strategy: walk-forward, out of sample, over trials, and the earlier system's."""
