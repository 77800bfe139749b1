"""Bad input for every reader and every command: a message, never a traceback."""
