"""Table 8 of the paper: Gradient attacks against adversarially trained classifiers, CIFAR-10.

python -m scripts.table8 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table8")
