"""Beside the training: one small process per attempt."""
