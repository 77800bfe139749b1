"""Other tools' files: what is imported and exported."""
