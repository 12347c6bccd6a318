"""Which dependencies count when GitHub's own relations and the text both speak of them."""

from hypothesis import given
from hypothesis import strategies as st

from core.task.dependencies import Dependency, Source, effective_graph, merge_dependencies, native_changes

TEXT, BLOCKER, PART, LIFTED = Source.TEXT, Source.BLOCKED_BY, Source.SUB_ISSUE, Source.REMOVED

needs = st.dictionaries(
    st.sampled_from(["#1", "#2", "#3", "acme/web#1"]),
    st.builds(Dependency, st.sampled_from([True, False, None]), st.sampled_from([TEXT, BLOCKER, PART])),
)


def test_a_blocker_that_was_taken_off_no_longer_counts_though_the_text_names_it() -> None:
    told = {"#2": Dependency(False)}
    lifted = merge_dependencies(told, {"#2": Dependency(False, BLOCKER)})
    assert lifted == {"#2": Dependency(False, LIFTED)}
    assert merge_dependencies(told, lifted) == lifted, "and stays so when the issue is read again"
    assert merge_dependencies({"#2": Dependency(False, BLOCKER)}, lifted) == {"#2": Dependency(False, BLOCKER)}, (
        "until it is put back"
    )
    assert merge_dependencies(told, merge_dependencies({}, lifted)) == told, "or the text is written again"


def test_a_sub_issue_that_is_taken_out_and_named_in_the_text_is_still_a_dependency() -> None:
    assert merge_dependencies({"#2": Dependency(False)}, {"#2": Dependency(False, PART)}) == {"#2": Dependency(False)}


def test_a_line_of_the_text_that_turns_a_native_relation_around_does_not_count() -> None:
    assert effective_graph({"#1": {"#2": PART}, "#2": {"#1": TEXT, "#3": TEXT}}) == {"#1": ("#2",), "#2": ("#3",)}
    assert effective_graph({"#1": {"#2": TEXT}, "#2": {"#1": TEXT}}) == {"#1": ("#2",), "#2": ("#1",)}, (
        "a cycle all the same"
    )
    assert effective_graph({"#1": {"#2": BLOCKER}, "#2": {"#1": BLOCKER}}) == {"#1": ("#2",), "#2": ("#1",)}
    assert effective_graph({"#1": {"#1": TEXT}}) == {"#1": ("#1",)}, "a task that depends on itself is told so"


@given(needs, needs)
def test_what_github_says_always_stands_and_nothing_is_made_up(
    told: dict[str, Dependency], stored: dict[str, Dependency]
) -> None:
    after = merge_dependencies(told, stored)
    assert after.keys() == told.keys()
    for reference, need in told.items():
        assert after[reference].finished == need.finished
        if need.source.is_native or reference not in stored:
            assert after[reference] == need
    assert set(native_changes(stored, after)) == {
        ref
        for ref in {*stored, *after}
        if (ref in stored and stored[ref].source.is_native) != (ref in after and after[ref].source.is_native)
    }
