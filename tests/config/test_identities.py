"""The table of accounts that agents act as."""

from config.identities import is_of_family, load_identities


def test_accounts_are_known_by_number() -> None:
    table = {one.id: name for name, one in load_identities().items()}
    assert table[209825114] == "claude"
    assert len(table) == 6, "no number stands for two"


def test_a_family_is_the_name_or_begins_it() -> None:
    assert is_of_family("claude", "claude")
    assert is_of_family("claude-fast", "claude")
    assert not is_of_family("claudette", "claude")
