"""The HTTP port: an OpenAI-compatible gateway to the servicers of `service/rpc`."""
