"""Slow things, each a program of its own with one result."""
