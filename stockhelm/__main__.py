"""`python -m stockhelm`: the command, without looking for its script."""

from stockhelm.cli import main

if __name__ == "__main__":
    main()
