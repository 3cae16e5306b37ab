"""What `hypnogram bench` measures; each prints one JSON document."""
