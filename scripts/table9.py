"""Table 9 of the paper: AttNet against classifiers hardened against gradient attacks, CIFAR-10.

python -m scripts.table9 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table9")
