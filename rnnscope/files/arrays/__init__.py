"""Arrays that lie in files: named, seen in other ways, read part by part."""
