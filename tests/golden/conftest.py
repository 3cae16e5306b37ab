from tests.prepared import bases

__all__ = ["bases"]
