"""R7: trainings that switch one default each, to find which one a difference comes from."""
