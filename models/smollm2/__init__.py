"""What the project adds to SmolLM2."""
