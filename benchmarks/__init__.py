"""Speed, measured side by side in one run: peer, floor, outlast; medians and ratios. Never a timed test."""
