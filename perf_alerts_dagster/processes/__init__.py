"""Module names of the previous version, by which running supervisors start their parts."""
