"""The calls of each service, as coroutines and asynchronous generators on a connection."""

from hypnogram.client.calls import chat, facts, health, history, memories, requests, sleep

__all__ = ["chat", "facts", "health", "history", "memories", "requests", "sleep"]
