"""Incidents, from breach to resolution, and their notifications."""
