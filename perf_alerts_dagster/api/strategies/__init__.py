"""Strategies and their projections."""
