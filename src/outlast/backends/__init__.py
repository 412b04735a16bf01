"""Ways to get a runner going somewhere. Each passes tests/contract/test_backend.py."""
