"""What the handbook shows is true."""

import doctest
import unittest
from pathlib import Path

PAGES = Path(__file__).resolve().parents[1] / "docs"


class HandbookTest(unittest.TestCase):
    """The examples are run."""

    def test_the_examples_work(self) -> None:
        """Every page of the handbook, as a doctest."""
        for page in sorted(PAGES.glob("*.md")):
            with self.subTest(page=page.name):
                self.assertEqual(doctest.testfile(str(page), module_relative=False).failed, 0)
