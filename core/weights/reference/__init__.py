"""Reference text that a base model generates itself: samples, chats, what it knows, and questions about strangers."""
