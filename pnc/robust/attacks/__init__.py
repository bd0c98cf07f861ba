"""Attacks within a ball and DeepFool: what each is, its budget, how it runs."""
