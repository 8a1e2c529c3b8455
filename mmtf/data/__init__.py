"""Datasets: loading by name, validated images and labels, preprocessing, training batches."""

from mmtf.data.batches import Batches
from mmtf.data.dataset import Dataset
from mmtf.data.digits import load_digits
from mmtf.data.errors import DataError
from mmtf.data.folder import load_folder
from mmtf.data.named import EMBEDDED, load_data
from mmtf.data.npz import load_npz
from mmtf.data.preprocessing import standardize_per_image, to_unit_box
from mmtf.data.tfds_source import NotPreparedError

__all__ = [
    "EMBEDDED",
    "Batches",
    "DataError",
    "Dataset",
    "NotPreparedError",
    "load_data",
    "load_digits",
    "load_folder",
    "load_npz",
    "standardize_per_image",
    "to_unit_box",
]
