"""The state of a memory, and what follows from it alone: its plan, its next work, its pressure. Pure."""
