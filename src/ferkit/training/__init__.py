"""The training loop: takes anything `Trainable`, knows no method."""
