"""Training loops of an expert, without this project, as yardsticks."""
