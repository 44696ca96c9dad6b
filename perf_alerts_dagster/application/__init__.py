"""What the service does, told over ports: it knows what must happen, not who does it."""
