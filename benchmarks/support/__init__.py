"""Shared by benchmarks, and by tests: memories to measure, people and facts, base models, processes, summaries."""
