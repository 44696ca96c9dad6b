"""The whole server: proxy, api and pages over one edge, opened and closed together."""
