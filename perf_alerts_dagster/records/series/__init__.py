"""The rows of each strategy as executions read them, kept for the pages."""
