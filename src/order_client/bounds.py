"""Every bound of the client, each with its reason."""

CALL_TIMEOUT_S = 30.0  # a call with its repeats: a service that restarts is back in less
ATTEMPT_TIMEOUT_S = 15.0  # one attempt: above the service's 8 s of a commit and its 5 s of a read
FIRST_BACKOFF_S = 0.1  # before the first repeat; each later one doubles
MAX_BACKOFF_S = 5.0  # between two repeats: a service that is back is found soon
MAX_CONNECTIONS = 256  # of one client: an order that waits for the exchange holds one for 2 s
OPEN_TIMEOUT_S = 10.0  # opening a stream; a service on the same continent needs 0.3 s
SILENCE_S = 40.0  # a heartbeat comes every 15 s: two that are missing, and some, are a connection that died
CLOSE_TIMEOUT_S = 1.0  # the service's goodbye to a stream that is closed: nothing hangs on it
MAX_FRAME_BYTES = 16 * 1024 * 1024  # of a stream: batches and books stay below a tenth of it
MAX_FRAMES_AHEAD = 4  # read before they are asked for; the rest waits at the service, which holds it in bounds
MAX_PAGE = 1_000  # rows of one page, the service's own bound
MAX_WORDS = 500  # characters that an error shows of an answer that is no problem of ours
