"""Trying again: policies, attempts and budgets."""
