"""The runner: the small program beside one training. Standard library only, and everything is imported at its start:
the environment that it came from may be deleted while it runs.

Knows how one attempt begins, is watched and ends. Refuses to know whether there should be another.
"""
