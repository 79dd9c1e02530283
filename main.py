"""Neural architecture search from the command line: `python main.py --study mobilenet`."""

import sys

from app.cli import main

if __name__ == "__main__":
    sys.exit(main())
