"""What is read and what is kept: images and their sources, face sets, embedding sets."""
