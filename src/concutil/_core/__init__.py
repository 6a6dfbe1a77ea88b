"""Decisions on `now`: no clock, no lock, no event loop, no I/O."""
