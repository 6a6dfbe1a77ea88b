"""Instruments that search for races, leaks and lost wake-ups, and their own tests."""
