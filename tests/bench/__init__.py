"""The benchmark suite itself: it notices wrong answers, computes rightly, and the document tells what it found."""
