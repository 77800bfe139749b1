"""The rungs: what is compared, and within which bounds."""
