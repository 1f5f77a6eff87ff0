"""What stages compute, written over the primitives: no stage, and nothing of a recipe."""
