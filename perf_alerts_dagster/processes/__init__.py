"""Names of the version before, for one version: supervisors that run start their parts by them."""
