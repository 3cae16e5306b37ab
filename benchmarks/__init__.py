"""The benchmarks: `run(...)` of a module yields the results of `hypnogram bench <name>` as they are measured."""
