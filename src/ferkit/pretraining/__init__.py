"""What pre-training is made of beside methods and the loop: the recipe, the faces as batches, looks at a run."""
