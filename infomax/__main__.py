"""`python -m infomax`: the `infomax` command."""

from infomax.command import main

if __name__ == "__main__":
    main()
