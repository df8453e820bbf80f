"""Recording a training run: its weights, its curves, and what reads them back."""
