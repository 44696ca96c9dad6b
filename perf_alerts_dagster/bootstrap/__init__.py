"""From settings to the objects that do the work: records, store, channels, executions."""
