"""Pure tensor functions: grids, warps, colour, blur, losses, boxes. No files, no state."""
