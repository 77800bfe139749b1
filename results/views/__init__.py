"""Views: the runs that may be pooled, and the names of the pools."""
