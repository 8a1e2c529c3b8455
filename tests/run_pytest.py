"""Main program of every py_test: runs the given test files with pytest, the slow tests too."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-m", "", "-n0", "-p", "no:cacheprovider", *sys.argv[1:]]))
