"""One module per way of saving; each passes tests/contract/test_checkpoint_format.py and knows no other."""
