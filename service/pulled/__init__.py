"""Base models that `hypnogram model pull` fetched into one folder; nothing else in the project downloads anything."""
