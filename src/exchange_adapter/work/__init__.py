"""Where the adapter's work comes from: the log itself, or messages of the broker about it."""
