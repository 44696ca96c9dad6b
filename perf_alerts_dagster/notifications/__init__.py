"""Messages to people: their text, their delivery, the digest, and the sweep."""
