"""The scheduler over Dagster's GraphQL: constant documents, client, scheduler."""
