"""Where messages go: a signed JSON webhook, and everything that Apprise knows."""
