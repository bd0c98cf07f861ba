from tests.shapes import checked

__all__ = ["checked"]
