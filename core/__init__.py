"""The rules of a memory: pure functions over frozen values. Standard library only (tensors live in `core.weights`)."""
