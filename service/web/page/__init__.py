"""The page of the memories: HTML for people, rendered on the server."""
