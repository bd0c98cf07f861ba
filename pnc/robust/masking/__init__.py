"""Checks of gradient masking: what a defence that only hides gradients cannot pass."""
