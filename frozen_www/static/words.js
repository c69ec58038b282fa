// Errors of the system in words, for who doesn't know their numbers.

const WORDS = {
  EADDRINUSE: "the port is in use",
  ECONNABORTED: "the connection broke",
  ECONNREFUSED: "nothing answers at that port",
  ECONNRESET: "the other side closed the connection",
  EHOSTUNREACH: "the host can't be reached",
  EIO: "the hardware doesn't answer",
  EMFILE: "too many files or connections are open",
  ENETUNREACH: "the network can't be reached",
  ENODEV: "there is no such device",
  ENOENT: "there is no such file",
  ENOMEM: "not enough memory",
  ENOSPC: "the flash is full",
  ENOTCONN: "not connected",
  EPERM: "not allowed",
  EROFS: "the flash can't be written",
  ETIMEDOUT: "no answer in time",
};

// As MicroPython prints them, "[Errno 110] ETIMEDOUT", with or without the name of the class.
const ERROR = /(?:OSError: )?\[Errno -?\d+\] ?(E[A-Z]+)/g;

export const inWords = (text) => text.replace(ERROR, (all, name) => WORDS[name] ?? name);
