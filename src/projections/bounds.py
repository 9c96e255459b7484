"""Every bound of the read side, each with its reason."""

MAX_PAGE = 1_000  # rows of one answer, the contract's; some 500 kB of JSON
MAX_PAST_CANDIDATES = 1_000  # orders that a page of the past looks at for a status: some 40 ms of the database
MAX_BOOK_LEVELS = 1_000  # price levels a side; the first 100 are what people look at
DEFAULT_BOOK_LEVELS = 100
MAX_HISTORY_READ = 1_000  # events a read of one order's history
MAX_AS_OF_READ = 200_000  # events that time travel by the clock looks through, some seconds; past it use a position

READ_CONNECTIONS = 6  # of one API process: more queries at once only wait for one another on two cores
MAX_QUEUED_QUERIES = 512  # queries waiting for a connection; past it 503 at once
MAX_WAITING_READS = 2_000  # reads that wait for a projection; each is a small object

APPLY_ROWS = 1_000  # rows of one statement: 300 kB of parameters
TABLES_LOCK_TIMEOUT_S = 2.0  # waiting for readers of tables that are to be dropped; then again
LISTEN_CHECK_S = 5.0  # a LISTEN connection that heard nothing for so long is asked whether it lives
STATUS_LOG_S = 60.0  # how often a projector that is stuck says so again
STOP_TIMEOUT_S = 6.0  # a follower's last transaction: PostgreSQL ends it after 5 s

# The feed.
MAX_FEED_CLIENTS = 4_000  # sockets of one API process: a fifth of the open files that a process may have
MAX_CLIENT_QUEUE = 10_000  # messages a client may be behind: the live log hands out up to 4,000 at once
MAX_CLIENT_QUEUE_BYTES = 8 * 1024 * 1024  # and in bytes; the texts are shared, so a client's own part is 80 kB
SEND_TIMEOUT_S = 4.0  # one message: the socket's buffers are full for so long, a message and megabytes before it
SLOW_CLOSE_TIMEOUT_S = 30.0  # for that message, then the closing one: who only paused hears where to resume
CLOSE_TIMEOUT_S = 1.5  # for the message under way, and for the closing message of a client that reads
MAX_CLIENT_MESSAGE = 4_096  # characters of a message from a client; none means anything yet
MAX_CLIENT_MESSAGES = 100  # messages from a client within CLIENT_MESSAGES_S
CLIENT_MESSAGES_S = 10.0
MAX_CLOSE_REASON_BYTES = 123  # RFC 6455 5.5: a control frame has 125 bytes, 2 of them the code
REPLAY_PAGE = 1_000  # events a read while a client catches up
MAX_REPLAY_READS = 4  # such reads at once: catching up does not starve the other reads
HEARTBEAT_S = 15.0  # after this much silence a client that resumes hears the position
DRAIN_TIMEOUT_S = 2.0  # clients that are told of the shutdown: the whole process has 10 s
