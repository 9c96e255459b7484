"""Every bound of the composition root and the process supervision, each with its reason."""

MAX_SOCKET_PATH_BYTES = 100  # a Unix socket's path may have 107; PostgreSQL adds a name of its own
CLIENT_TIMEOUT_S = 15.0  # a command's wait for the API: above its 8 s of a commit and its 5 s of a read
