"""`python -m forecache`."""

from forecache.show.cli import main

if __name__ == "__main__":
    main()
