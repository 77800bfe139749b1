"""The yardstick: bare hand-written loops, timed beside the harness's backends."""
