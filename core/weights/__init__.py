"""The mathematics on tensors: exact deltas, writing facts, probes. No SQL, no gRPC."""
