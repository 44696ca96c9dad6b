"""One module per family of rules; `catalogue` lists them."""
