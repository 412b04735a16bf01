"""Bugs planted on purpose: each must turn a test red, or the test proves nothing. Run: python -m tests.mutants [NAME...]"""
