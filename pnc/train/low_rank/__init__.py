"""Virtual layers that draw activations into few dimensions while a network trains."""
