"""Dagster over its GraphQL: constant documents, the client, and the scheduler made of them."""
