"""What lies inside of the files that checkpoints are made of: torch zips, safetensors, pickles, numbers. Nothing here
ever executes a byte of them."""
