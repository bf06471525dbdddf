"""Export a model into the repository that Triton serves: see `python export_model.py --help`."""

import sys

from exporter.command import main

if __name__ == "__main__":
    sys.exit(main())
