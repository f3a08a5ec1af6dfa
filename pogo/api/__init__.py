"""pogo as a library: what `import pogo` offers. Everything else is internal."""
