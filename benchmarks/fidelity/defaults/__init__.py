"""What each framework does when a setting is left alone, asked of the framework itself."""
