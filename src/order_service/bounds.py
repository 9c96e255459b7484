"""Every bound of the composition root and the process supervision, each with its reason."""

MAX_SOCKET_PATH_BYTES = 100  # a Unix socket's path may have 107; PostgreSQL adds a name of its own
