"""The command line. Each module holds one group of commands; heavy imports happen inside them, so that help is fast."""
