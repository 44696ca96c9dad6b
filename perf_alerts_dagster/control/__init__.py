"""Who asks, what they changed, and who works now: principals, audit, leases."""
