"""The one door for files that a user or another program gives: opened here, and nowhere else.

Whatever goes wrong becomes one message with the file, the field and the remedy (`FileError`).
"""
