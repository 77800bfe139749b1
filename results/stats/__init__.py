"""Statistics of numbers alone; nothing here knows a run."""
