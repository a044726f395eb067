"""The ports' guarantees (`conformance`), and what each adapter promises beside them."""

import pytest

pytest.register_assert_rewrite("tests.store.conformance")
