"""Draws the history of a memory as one self-contained HTML file."""

from service.report.page import most_lived, report

__all__ = ["most_lived", "report"]
