import html.parser

from mmtf.reports.markup import element, render, table


def test_text_is_read_as_it_was_given():
    given = "\"<x>\" & 'y' </p>"
    parsed = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            parsed.append((tag, dict(attrs)))

        def handle_data(self, data):
            parsed.append(data)

    parser = Parser()
    parser.feed(render(element("p", given, element("i", given), title=given)))
    parser.close()
    assert parsed == [("p", {"title": given}), given, ("i", {}), given]


def test_none_is_skipped():
    assert render(element("p", None, "", "0", class_=None, id_="a")) == '<p id="a">0</p>'


def test_text_keeps_its_place_among_elements():
    assert render(element("p", "a", element("br"), "b", "c")) == "<p>a<br>bc</p>"


def test_a_table_names_its_columns_in_every_cell():
    rows = [[element("th", "a"), element("td", "1")], [element("th", "b"), element("td", "2")]]
    made = table(["name", "size"], rows, caption="Sizes")
    assert [cell.get("data-column") for cell in made.iter("td")] == ["size", "size"]
    assert [cell.get("scope") for cell in made.iter("th")] == ["col", "col", "row", "row"]
    assert next(made.iter("caption")).text == "Sizes"
