"""`python -m electra_tutorial` is `electra-tutorial`."""
import sys

from electra_tutorial.cli import main

if __name__ == "__main__":
    sys.exit(main())
