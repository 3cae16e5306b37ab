"""Finds the facts in what a user says: candidates, and for each that is not accepted the reason.

`extract.py` is the entrance. Grammar comes from a `Parser` (`words.py`); everything here is pure.
"""
