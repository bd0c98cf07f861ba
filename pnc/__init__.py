"""Theory held against experiment."""
__version__ = "0.1.0"
