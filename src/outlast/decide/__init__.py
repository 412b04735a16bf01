"""Decisions with clean hands: values in, values out; `now` is an argument; no clock, no file, no chance."""
