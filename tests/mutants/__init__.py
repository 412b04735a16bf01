"""Bugs planted on purpose: each must turn a test red, or the test proves nothing. `python -m tests.mutants [NAME]`."""
