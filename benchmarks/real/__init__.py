"""Measures facts told to real models: made-up people, unseen wordings, and what must not change."""
