"""Everything that knows torch: objectives, planes, evaluation and descent."""
