"""`hypnogram bench serve`: what a server does a second, and what it takes, by number of streams and of memories."""
