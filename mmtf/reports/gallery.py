"""The images of an evaluation: one row a test image, the clean one, then each attack's."""

from typing import Any
from xml.etree import ElementTree as ET

from mmtf.reports.markup import element
from mmtf.reports.measured import Measured

SHOWN = 84  # pixels on the screen
ABOUT = (
    "Each row is one test image: as it is, then what each attack made of it, with the label that "
    "the model gives it and, on its right, the change: gray is no change, black and white are the "
    "largest change of an attack at that radius, down and up. A red frame: the model is "
    "wrong. Distance is that of the nearest misclassified image found between the clean image and "
    "the attack's."
)


def gallery(measured: Measured, images: dict[str, Any]) -> list[ET.Element]:
    """A section per model; the first is open.

    Args:
      measured: the record.
      images: of `mmtf.evaluation.images.shown_images`, as in images.json.
    """
    names = measured.record.get("class_names")
    sections = []
    for number, (model, own) in enumerate(images["models"].items()):
        rows = [_row(measured, names, images, own, model, at) for at in range(len(images["clean"]))]
        sections.append(
            element(
                "details",
                element("summary", f"Images of {model}"),
                *rows,
                open="" if number == 0 else None,
            )
        )
    return sections


def _row(measured, names, images, own, model, at) -> ET.Element:
    """A test image: the clean one, once, and the attacks at each radius."""
    clean = images["clean"][at]
    label = _class(names, clean["label"])
    predicted = own["predicted"][at]
    text = f"clean image {at + 1} of class {label}, classified as {_class(names, predicted)}"
    original = element(
        "figure",
        _picture(clean["png"], text),
        element("figcaption", element("b", "clean"), _verdict(names, predicted)),
        class_="fooled" if predicted != clean["label"] else None,
    )
    radii = []
    for eta in dict.fromkeys(one["eta"] for one in own["attacks"]):
        figures = [_attacked(names, one, at) for one in own["attacks"] if one["eta"] == eta]
        title = element("h5", measured.radius(eta))
        radii.append(element("div", title, element("div", *figures, class_="strip")))
    head = element("h4", f"Test image {at + 1}: {label}")
    attacks = element("div", *radii, class_="attacks")
    return element("section", head, element("div", original, attacks, class_="image"))


def _attacked(names, attack, at) -> ET.Element:
    one = attack["images"][at]
    predicted = _class(names, one["predicted"])
    text = f"image {at + 1} under {attack['attack']}, classified as {predicted}"
    distance = one.get("distance")
    caption = element(
        "figcaption",
        element("b", attack["attack"]),
        _verdict(names, one["predicted"]),
        None if distance is None else element("span", f"distance {distance:.3g}", class_="line"),
    )
    change = _picture(one["difference"], f"change by {attack['attack']}")
    return element(
        "figure",
        element("div", _picture(one["png"], text), change, class_="pair"),
        caption,
        class_="fooled" if one["wrong"] else None,
    )


def _verdict(names, predicted) -> ET.Element:
    return element("span", f"\u2192 {_class(names, predicted)}")


def _picture(png: str, text: str) -> ET.Element:
    source = f"data:image/png;base64,{png}"
    return element("img", src=source, alt=text, width=SHOWN)


def _class(names, number) -> str:
    """The name of a class; its number if the record has no names."""
    return str(names[number] if names and 0 <= number < len(names) else number)
