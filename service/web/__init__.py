"""The HTTP port, on the servicers of `service/rpc`: OpenAI's API, tools for agents, a page for browsers, metrics."""
