"""Table 1 of the paper: FGSM against the undefended classifier, MNIST.

python -m scripts.table1 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table1")
