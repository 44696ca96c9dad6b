"""Dagster over its GraphQL: constant documents, one client, answers as plain values."""
