"""Principals and permissions, the audit of changes, versions of thresholds, and leases."""
