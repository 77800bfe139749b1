"""Child processes: environment, start, messages, and how they end."""
