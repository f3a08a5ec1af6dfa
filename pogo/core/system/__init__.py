"""What pogo asks of the operating system: signals, processors, memory, locks."""
