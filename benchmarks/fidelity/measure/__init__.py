"""The processes that compute the cases of the ladder."""
