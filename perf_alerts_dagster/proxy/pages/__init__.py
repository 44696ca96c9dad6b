"""Pages for people: where a message's link leads. Rendered here, without a script."""
