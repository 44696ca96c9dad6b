"""The answers' shapes, with the exact names and types that clients rely on."""
