"""Packaging of mmtf: `pip install .`, with extras by `pip install '.[test]'`."""

import pathlib
import re

import setuptools

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "mmtf/__init__.py").read_text(), re.M)[1]
PEERS = [
    "adversarial-robustness-toolbox>=1.20",
    "foolbox>=3.3.4",
    "pyautoattack>=0.2.0",
    "torch>=2.4",
]

setuptools.setup(
    name="mmtf",
    version=VERSION,
    description="Minimax-optimal defense against adversarial examples, in TensorFlow and Keras",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=[
        "adversarial examples",
        "adversarial training",
        "keras",
        "machine learning",
        "minimax optimization",
        "robustness",
        "tensorflow",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: GPU",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=setuptools.find_packages(include=["mmtf", "mmtf.*"]),
    package_data={"mmtf": ["py.typed"], "mmtf.reports": ["*.css", "*.csv"]},
    install_requires=[
        "absl-py>=2.1",
        # With later versions pip's resolver backtracks for minutes on Python 3.10.
        'etils<1.14; python_version < "3.11"',
        "importlib_resources>=6.0",  # tensorflow-datasets needs it to build from archives
        # mmtf uses private names of Keras, so the next, untested release is excluded.
        "keras>=3.12,<3.16",
        "numpy>=2.0",
        "pandas>=2.2",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "tensorboard>=2.20",
        "tensorflow>=2.21",
        "tensorflow-datasets>=4.9.10",  # 4.9.9 cannot read its metadata with protobuf 7
        "threadpoolctl>=3.5",
        "tqdm>=4.66",
    ],
    # On case-insensitive disks setuptools' default folder `build` collides with Bazel's BUILD.
    options={"build": {"build_base": "_build"}},
    extras_require={
        "test": [
            "matplotlib>=3.9",
            "mypy>=1.15",
            "pytest>=8.0",
            "pytest-xdist>=3.7",
            "ruff>=0.13",
        ],
        "docs": ["mkdocs-material>=9.6", "mkdocstrings[python]>=0.29"],
        "gpu": ["tensorflow[and-cuda]>=2.21"],
        # Libraries that mmtf's attacks are compared with; PyTorch's CPU build suffices.
        "peers": PEERS,
        "bench": [*PEERS, "cleverhans>=4.0", "matplotlib>=3.9"],
        "cluster": ["dask[distributed]>=2025.1"],
        # Enough to draw figures from committed records.
        "figures": ["matplotlib>=3.9"],
    },
)
