"""The attacked network: pixels in, logits out, and what it makes of images as they are."""
