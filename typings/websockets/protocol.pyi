class State:
    OPEN: int
    CLOSING: int
    CLOSED: int
