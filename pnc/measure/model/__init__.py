"""Torch models: which layers there are, how batches go through them, and what is measured of each layer."""
