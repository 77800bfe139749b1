"""The short ladder that a session climbs before its first run."""
