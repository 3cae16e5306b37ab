"""Conversations: what is learned from generated dialogues whose truth is known."""
