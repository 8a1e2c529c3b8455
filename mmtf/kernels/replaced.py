"""Other operations in a model's layers, for as long as a context is open."""

import contextlib

_ABSENT = object()


@contextlib.contextmanager
def replaced(changes):
    """While open, attributes of layers are others; then what they were.

    Args:
      changes: (layer, name of the attribute, what it is meanwhile), each pair once.
    """
    changes = list(changes)
    before = [vars(layer).get(name, _ABSENT) for layer, name, _ in changes]
    for layer, name, value in changes:
        vars(layer)[name] = value  # not setattr: Keras would track it
    try:
        yield
    finally:
        for (layer, name, _), old in zip(changes, before, strict=True):
            if old is _ABSENT:
                del vars(layer)[name]
            else:
                vars(layer)[name] = old
