"""Rules that make English prompts for relations that neither a phrasebook nor the library has."""
