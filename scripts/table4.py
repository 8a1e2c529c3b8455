"""Table 4 of the paper: AttNet against classifiers hardened against gradient attacks, MNIST.

python -m scripts.table4 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table4")
