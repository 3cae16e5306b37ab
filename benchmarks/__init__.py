"""What is measured, each as `run(...) -> dict` behind `hypnogram bench <name>`."""
