"""The defaults of each framework, asked of the framework itself."""
