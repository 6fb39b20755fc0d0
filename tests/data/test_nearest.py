"""The known name that was meant."""

from hypothesis import given
from hypothesis import strategies as st

from data.nearest import did_you_mean, nearest

ROLES = ("balance", "flow", "room", "pressure")


def test_the_nearest_name_is_the_one_that_was_meant() -> None:
    assert nearest("flwo", ROLES) == "flow"
    assert nearest("presure", iter(ROLES)) == "pressure"
    assert did_you_mean("flwo", ROLES, "there are many") == 'did you mean "flow"?'


def test_nothing_is_guessed_where_no_name_is_like_it() -> None:
    assert nearest("weight", ["flow"]) is None
    assert nearest("flow", []) is None
    assert did_you_mean("weight", ["flow"], "there is flow") == "there is flow"


def test_a_column_may_be_less_alike() -> None:
    assert nearest("kpa", ["p_kpa_absolute"], 0.3) == "p_kpa_absolute"
    assert nearest("kpa", ["p_kpa_absolute"]) is None


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=6))
def test_what_is_named_is_known(given_name: str, known: list[str]) -> None:
    near = nearest(given_name, known)
    assert near is None or near in known
    assert near == given_name or given_name not in known
