"""The commands of `python -m concutil`."""
