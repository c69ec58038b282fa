"""Opcodes and close codes (RFC 6455 sections 5.2, 7.4), named as in Python's `websockets`."""

from . import frames


class Opcode:
    """What a frame is."""

    CONT = frames.CONT
    TEXT = frames.TEXT
    BINARY = frames.BINARY
    CLOSE = frames.CLOSE
    PING = frames.PING
    PONG = frames.PONG


class CloseCode:
    """Why a connection was closed; the last six are of IANA's registry."""

    NORMAL_CLOSURE = frames.NORMAL_CLOSURE
    GOING_AWAY = frames.GOING_AWAY
    PROTOCOL_ERROR = frames.PROTOCOL_ERROR
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = frames.NO_STATUS_RCVD
    ABNORMAL_CLOSURE = frames.ABNORMAL_CLOSURE
    INVALID_DATA = frames.INVALID_DATA
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = frames.MESSAGE_TOO_BIG
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = frames.INTERNAL_ERROR
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = frames.TRY_AGAIN_LATER
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015
