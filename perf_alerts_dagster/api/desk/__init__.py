"""The desk: how all strategies stand, on one page."""
