"""The mathematics on tensors: exact deltas, edits, adapters, probes. Without SQL and gRPC."""
