"""Table 2 of the paper: FGSM against the classifier trained against it, MNIST.

python -m scripts.table2 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table2")
