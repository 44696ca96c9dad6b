"""Events: what one cause did, with its incidents."""
