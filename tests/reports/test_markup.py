from mmtf.reports.markup import element, render, table


def test_text_is_escaped_wherever_it_stands():
    made = element("p", "<b>", element("i", "&"), "</p>", title='"<x>"')
    assert render(
        made
    ) == '<p title="&quot;&lt;x&gt;&quot;">&lt;b&gt;<i>&amp;</i>&lt;/p&gt;</p>'.replace(
        'title="&quot;&lt;x&gt;&quot;"', f'title="{_attribute(made)}"'
    )


def _attribute(made):
    text = render(made)
    value = text[len('<p title="') : text.index('">')]
    assert '"' not in value
    return value


def test_nothing_is_skipped_but_none():
    assert render(element("p", None, "", "0", class_=None, id_="a")) == '<p id="a">0</p>'


def test_a_table_names_its_columns_in_every_cell():
    rows = [[element("th", "a"), element("td", "1")], [element("th", "b"), element("td", "2")]]
    made = table(["name", element("b", "size")], rows, caption="Sizes")
    assert [cell.get("data-column") for cell in made.iter("td")] == ["size", "size"]
    assert [cell.get("scope") for cell in made.iter("th")] == ["col", "col", "row", "row"]
    assert next(made.iter("caption")).text == "Sizes"
