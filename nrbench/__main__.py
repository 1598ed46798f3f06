"""`python -m nrbench` is the command `nrbench`."""

from nrbench.cli.main import main

main()
