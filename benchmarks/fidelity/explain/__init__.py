"""The differences between two frameworks for one network, in words."""
