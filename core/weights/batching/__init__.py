"""Generation for several memories of one base model at once, each row with weights of its own. Pure."""
