"""`python -m hypnogram`, and the command `hypnogram`."""

from service.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
