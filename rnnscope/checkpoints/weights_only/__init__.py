"""What names and shapes alone tell of cells, where no configuration or graph does."""
