"""What of 49 public networks and trainings can be stated: `python -m tests.survey`."""
