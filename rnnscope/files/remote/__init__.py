"""Files at addresses: which are taken, and fetching what a reader needs of them."""
