"""`python -m tcpharness` is `tcpharness`."""

import sys

from tcpharness.cli import main

sys.exit(main())
