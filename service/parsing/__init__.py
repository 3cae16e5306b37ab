"""Parsers of English, which come with the extra `conversation`."""
