"""Table 6 of the paper: FGSM against the undefended classifier, CIFAR-10.

python -m scripts.table6 [--rerun | --measure | --dry_run] [--schedule=paper]
"""

from scripts.reproduce import run

if __name__ == "__main__":
    run("table6")
