"""Where the adapter's work comes from: the log itself."""
