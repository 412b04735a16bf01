"""Reads what a training is made of: weights, words, data, versions. Nothing of it is executed."""
