"""Robustness: adversarial attacks and noise, with the checks that expose a defence that only masks gradients."""
