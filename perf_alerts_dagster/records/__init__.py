"""Track records: the dated rows of strategies, their sessions, groups and restatements."""
