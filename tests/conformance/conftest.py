"""The kit's assertions tell what they compared, like those of any test."""

import pytest

pytest.register_assert_rewrite("tests.conformance.kit")
