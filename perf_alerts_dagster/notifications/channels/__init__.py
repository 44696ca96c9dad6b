"""Channels: a signed JSON webhook, and every service of Apprise."""
