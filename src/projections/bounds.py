"""Every bound of the read side, each with its reason."""

MAX_PAGE = 1_000  # rows of one answer, the contract's; some 500 kB of JSON
MAX_PAST_CANDIDATES = 1_000  # orders that a page of the past looks at for a status: some 25 ms
MAX_BOOK_LEVELS = 1_000  # price levels a side; the first 100 are what people look at
DEFAULT_BOOK_LEVELS = 100
MAX_HISTORY_READ = 1_000  # events a read of one order's history
MAX_AS_OF_READ = 200_000  # events that time travel by the clock looks through, some seconds; past it use a position

READ_CONNECTIONS = 6  # of one API process: more queries at once only wait for one another on two cores
MAX_QUEUED_QUERIES = 512  # queries waiting for a connection; past it 503 at once
MAX_WAITING_READS = 2_000  # reads that wait for one projection, so that one that stands leaves the others theirs
SWAPPED_TRIES = 3  # of a query in the middle of whose look for its tables they were swapped: swaps are seconds apart

APPLY_ROWS = 1_000  # rows of one statement: 300 kB of parameters
TABLES_LOCK_TIMEOUT_S = 2.0  # waiting for readers of tables that are to be dropped; then again
LISTEN_CHECK_S = 5.0  # a LISTEN connection that heard nothing for so long is asked whether it lives
STATUS_LOG_S = 60.0  # how often a projector that is stuck says so again
STOP_TIMEOUT_S = 6.0  # a follower's last transaction: PostgreSQL ends it after 5 s

# Rebuilding beside the live tables.
REBUILD_BATCH_EVENTS = 1_000  # events a transaction: some 100 ms of the database
REBUILD_POLITE_EVENTS = 100  # where queries go first: a step takes the cores for some 10 ms
REBUILD_SLOW_S = 0.25  # a transaction that takes longer halves its batch
REBUILD_DUTY = 0.15  # of the time, so that queries have the rest; `--fast` takes all
REBUILD_PAUSE_S = 2.0  # the longest pause after a batch
REBUILD_NEAR_EVENTS = 1_000  # behind the live tables: from here on it hurries, since each pause lets them run ahead
REBUILD_TOLD_S = 0.25  # between two words of progress
ASK_TIMEOUT_S = 3.0  # connecting and a statement, for an operator's POST
REBUILD_ASKED_S = 1.0  # how often a projector looks whether a rebuild was asked for
DIGEST_TIMEOUT_S = 600.0  # one table's digest: 1,000,000 rows take some seconds
SWAP_EVENTS = 500  # the last events, applied while the live follower waits: some 50 ms
SWAP_LOCK_TIMEOUT_S = 0.5  # waiting for the checkpoint's row; then everything is let go, and tried again
SWAP_TRIES = 60
SWAP_PAUSE_S = 0.25  # between two of them
DROP_TRIES = 40  # for tables that a query still reads: 30 s, six times what a query may take

MAX_ROW_FINDINGS = 100  # differing rows of a projection that a verification keeps; all are counted
VERIFY_NEAR_EVENTS = 5_000  # behind the live tables: the rest is folded in the snapshot that compares, within a second
VERIFY_TRIES = 5  # of a verification whose live tables are swapped meanwhile: a rebuild takes longer than that

# The feed.
MAX_FEED_CLIENTS = 4_000  # clients of one API process: a fifth of the open files that a process may have
MAX_ACCOUNT_FEED_CLIENTS = 500  # of one account where accounts are told apart: one alone shuts nobody out
MAX_CLIENT_QUEUE = 10_000  # events a client may be behind: the live log hands out up to 4,000 at once
MAX_CLIENT_QUEUE_BYTES = 8 * 1024 * 1024  # and their texts in memory; shared, so a client's own part is 80 kB
MAX_CLIENT_BYTES = 10 * 1024 * 1024  # what a client costs at most in Python's memory, were nothing of it shared
MAX_FRAME_MESSAGES = 500  # messages of one frame, where a client takes several
MAX_FRAME_BYTES = 256 * 1024  # and their bytes: WebSocket clients refuse frames beyond 1 MB by default
SEND_BUFFER_BYTES = 64 * 1024  # of a connection in the kernel, which else takes 5 MB before a slow client shows
SEND_TIMEOUT_S = 3.0  # one frame: the connection's buffers are full for so long
SEND_LOOKS = 6  # turns of the event loop in that time: a loop that stood still does not make its clients slow
SLOW_CLOSE_TIMEOUT_S = 3.5  # for that frame, then the closing one, which the kernel takes at once; else it is cut
GOODBYE_BUFFER_BYTES = (
    512 * 1024
)  # what SEND_BUFFER_BYTES becomes for them; Linux gives 208 kB at least, which are enough
GOODBYE_UNREAD_MS = 60_000  # how long they then stand in the kernel: who reads again by then hears where to resume
GOODBYE_FLUSH_S = 0.5  # for the server to hand its own buffer to the kernel, before the connection is ended
CLOSE_TIMEOUT_S = 0.8  # for the frame under way and the closing one, where nothing says that the client is slow
MAX_CLIENT_MESSAGE = 4_096  # characters of a message from a client; none means anything yet
MAX_CLIENT_MESSAGES = 100  # messages from a client within CLIENT_MESSAGES_S
CLIENT_MESSAGES_S = 10.0
MAX_CLIENT_INPUT_BYTES = 1024 * 1024  # all that a client of /ws sends in its life: pings of a week; else it is cut
CLIENT_INPUT_LOOK_S = 1.0  # how often it is looked for that; a thousand clients take 7 ms of another thread
MAX_CLOSE_REASON_BYTES = 123  # RFC 6455 5.5: a control frame has 125 bytes, 2 of them the code
REPLAY_PAGE = 250  # events a read while a client catches up: their texts take the loop some 5 ms
MAX_REPLAY_PAGES = 40  # pages kept for clients that come back at once: 10,000 events, some 25 MB
MAX_REPLAY_READS = 4  # such reads at once: catching up does not starve the other reads
HEARTBEAT_S = 15.0  # after this much silence a client that resumes hears the position
DRAIN_TIMEOUT_S = 1.0  # all clients that are told of the shutdown: the process has 2 s to end
EVENTS_FRAME_BYTES = 32 * 1024  # of /events: the server takes some in before the kernel has the first
EVENTS_RETRY_MS = 1_000  # what an event source waits before it comes back
BOOK_INTERVAL_S = 1.0  # between two snapshots of a symbol, the contract's
BOOK_WAIT_S = 2.0  # for a projection that is behind; then again
BOOK_HOLD_S = 2.0  # how long messages wait for a snapshot that is to stand before them: as long as one is waited for
MAX_FIRST_BOOKS = 100  # symbols whose books a client without a symbol gets at first
MAX_BOOK_READS = 2  # at once: of the 6 connections the others' reads keep the most
