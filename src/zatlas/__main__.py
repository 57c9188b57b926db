"""``python -m zatlas`` is ``zatlas``."""

from zatlas.cli.app import main

if __name__ == "__main__":
    main()
