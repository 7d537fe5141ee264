"""mssante.imap.rules.indexed: what an index bounds, whatever it knows, holds the truth between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mssante.imap.grammar.search import All, And, Flagged, HasField, Key, Not, Or, Text
from mssante.imap.rules.indexed import Area, Bounds, asks_words_only, bounds, questions

EVERYBODY = frozenset(range(8))
leaf = st.one_of(
    st.builds(Text, st.sampled_from(["a", "b", "Été", ""]), st.booleans()),
    st.builds(HasField, st.just("from"), st.sampled_from(["a", ""])),
    st.sampled_from([All(), Flagged(1, True)]),
)
keys = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, inner, inner),
        st.lists(inner, min_size=1, max_size=3).map(tuple).map(And),
    ),
)
some = st.frozensets(st.sampled_from(sorted(EVERYBODY)))


@given(keys, st.data())
def test_the_truth_lies_between_the_bounds(key: Key, data: st.DataObject) -> None:
    truth: dict[object, frozenset[int]] = {}
    told: dict[tuple[str, Area], Bounds] = {}

    def of(needle: str, area: Area) -> Bounds:
        if (needle, area) not in told:
            holding = truth.setdefault((needle, area), data.draw(some))
            sure = holding & data.draw(some) if area != "field" else frozenset()
            told[needle, area] = Bounds(sure, holding | data.draw(some))
        return told[needle, area]

    found = bounds(key, EVERYBODY, of)

    def true_of(key: Key) -> frozenset[int]:
        match key:
            case All() | Text("", _):
                return EVERYBODY
            case Text(needle, header):
                return truth["ete" if needle == "Été" else needle, "text" if header else "body"]
            case HasField(_, "a"):
                return truth["a", "field"]
            case Not(inner):
                return EVERYBODY - true_of(inner)
            case Or(either, other):
                return true_of(either) | true_of(other)
            case And(both):
                return EVERYBODY.intersection(*map(true_of, both))
            case _:
                return truth.setdefault(key, data.draw(some))

    assert found.sure <= true_of(key) <= found.possible


def test_an_index_is_asked_what_it_may_know() -> None:
    key = And((Text("Été", header=True), Not(HasField("from", "É")), Text("", header=False), All()))
    assert list(questions(key)) == [("ete", "text"), ("e", "field")]
    assert not asks_words_only(key)
    assert asks_words_only(Or(Text("a", header=False), Not(HasField("to", "b"))))
    assert not asks_words_only(Text("", header=True))
