"""Start the command: `python -m videojudge_bench.cli VERB …`."""

import sys

from videojudge_bench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
