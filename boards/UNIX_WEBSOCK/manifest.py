# The host board: simulated hardware, and the program's entry point.
freeze("modules")
