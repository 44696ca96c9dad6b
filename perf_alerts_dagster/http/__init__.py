"""The edge that proxy, api and pages share: middleware, strict JSON, problems, OpenAPI."""
