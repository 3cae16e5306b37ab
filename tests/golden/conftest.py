from tests.prepared import subjects

__all__ = ["subjects"]
