"""The one floor that reads a clock, sleeps, blocks or knows an event loop."""
