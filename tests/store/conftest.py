from tests.databases import log, postgresql, url

__all__ = ["log", "postgresql", "url"]
