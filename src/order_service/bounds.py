"""Every bound of settings, processes, API and command line, each with its reason; `security` has its own."""

MAX_SOCKET_PATH_BYTES = 100  # a Unix socket's path may have 107; PostgreSQL adds a name of its own
MAX_DECIMALS = 12  # of prices in a catalogue: past it their sums outgrow what is stored exactly
CLIENT_TIMEOUT_S = 15.0  # a command's wait for the API: above its 8 s of a commit and its 5 s of a read
WATCH_START_S = 3.0  # `orders watch` looks for a service that long before it says that there is none
DOCTOR_CHECK_S = 5.0  # a check of `orders doctor`; they run together, so this is about all that it takes
LOW_DISK_BYTES = 512 * 1024**2  # PostgreSQL alone may need this for its log between two checkpoints
OLDEST_POSTGRESQL = 14  # the oldest that its community maintains, and the tests' oldest SQL
PART_READY_S = 60.0  # a part's first start; the slowest of them reads its backlog first
RESTART_FIRST_S = 0.1  # pause before a part that died is started again, doubled each time
RESTART_MOST_S = 5.0  # longest such pause: the tenth start in a minute helps nobody
STEADY_S = 10.0  # a part that ran this long starts again without a pause
IMPATIENT_S = 1.0  # a stop signal repeated sooner is the same one, sent on by make; later, a person insists
SUPERVISOR_POLL_S = 0.5  # the watch's wait; the end of a child ends it sooner

CHILD_EXEC_TIMEOUT_S = 15.0  # a child becomes its program within 20 ms; a machine that swaps takes seconds

# The embedded PostgreSQL.
FOLDER_LOCK_WAIT_S = 10.0  # a running service stops within 10 s; who holds the folder longer, is not stopping
DYING_POSTMASTER_WAIT_S = 60.0  # its last checkpoint, and backends that are busy, after its parent was killed
INITDB_TIMEOUT_S = 120.0  # takes 0.6 s; minutes on a slow disk
START_LIMIT_S = 600.0  # crash recovery replays at most max_wal_size, at some 10 MB/s on a slow disk
START_STALL_S = 60.0  # a recovery logs its progress every 10 s
FAST_STOP_S = 2.0  # ends sessions and writes a checkpoint, in 0.1 s mostly; the whole service has 10 s to stop
IMMEDIATE_STOP_S = 0.4  # no checkpoint: the next start recovers; after it the kernel ends what is left
CONNECT_TIMEOUT_S = 10  # to a server on the same machine that says it is ready
MAX_LOG_BYTES = 8 * 1024 * 1024  # one older file is kept, so twice this
MAX_LOG_READ_BYTES = 64 * 1024  # the end of the log, where the reason of a failed start stands

# Migrations.
OTHERS_WAIT_S = 3_600.0  # an embedded database that a command started stays for others: a rebuild takes minutes
OTHERS_POLL_S = 0.25
MIGRATION_LOCK_WAIT_S = 60.0  # for another process that migrates the same database
MIGRATION_TABLE_LOCK_S = 10.0  # a migration that waits for a table holds up everyone behind it
DYING_LISTENER_S = 10.0  # how long a port is waited for whose process lost its supervisor and is ending

# The API process.
HEALTH_CACHE_S = 0.5  # however often load balancers ask, the database is asked twice a second
HEALTH_TIMEOUT_S = 2.0  # a check that takes longer has failed
APPEND_FAILED_S = 60.0  # how long /health/ready tells of a failed commit that none followed
FIGURES_CACHE_S = 2.0  # however many ask for /metrics, the adapters' figures are read once in so long
FIGURES_TIMEOUT_S = 1.0  # /metrics waits for them no longer: a scrape has 10 s
PLACE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)  # buckets: a call takes 0.5 s
FILL_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0)  # up to a trading day
MOST_UNPLACED = 20_000  # orders on their way that /metrics remembers: ten times what a few adapters have in flight
TRACES_END_S = 0.5  # what a stop waits for the last spans to leave: a collector answers in some ms, or is away
MOST_WAITING_SPANS = 2_000  # exchange calls whose order's trace is still to be looked up, at a millisecond each
PROGRESS_STEP = 500  # events of a check from one movement of its bar to the next: some ten a second
READY_LAG_S = 10.0  # query tables this far behind are not fit to serve
READY_LAG_EVENTS = 20_000  # nor are those with this much to catch up: about ten seconds of a projector's work
API_THREADS = 8  # blocking reads of the log in an API process; each takes a connection
API_LIVE_POLL_S = 0.05  # how often the starting server is asked whether it answers
MAX_CONNECTIONS = 5_000  # of one API process: MAX_FEED_CLIENTS sockets and 1,000 others; the rest waits in the kernel
MAX_BACKLOG = 1_024  # connections that wait there; past it a client tries again by itself (TCP)
MAX_HEAD_BYTES = 64 * 1024  # of a request: its line and headers, which the server holds until they are whole
MAX_PATH_BYTES = 2_048  # of a URL; ours have 100
MAX_QUERY_BYTES = 8_192  # of a URL; a cursor and every filter together have 1,000
MAX_PARAMETERS = 64  # of a query: five times what any route knows
DOCUMENT_PART_BYTES = 16 * 1024  # of a file of /docs or a schema; the server holds some 100 kB of them for a client
BODY_TIMEOUT_S = 20.0  # for a whole body: 2 MiB at 1 Mbit/s take 17 s
MAX_DISCARDED_BYTES = 4 * 1024 * 1024  # of a body that is too large: above the 3 MiB that our nginx passes on
UNREAD_TIMEOUT_MS = 20_000  # how long an answer may stand in the kernel of which the client takes nothing
RATE_WHERE_REQUIRED = 1_000.0  # a second, of an account with a credential: a third of what one API process can do
KEEP_ALIVE_MS = 75_000  # an idle connection, or a header that dawdles: longer than the 60 s of common balancers
API_STOP_S = 2  # what requests in flight get to end under `orders up`, which has ten seconds for all parts
API_ALONE_STOP_S = 12  # the same for an API alone: 1 s for goodbyes, 8 s for a request that waits for its commit
LAST_CONNECTIONS_S = 0.5  # for the connections that the kernel has queued; the server accepts some 10,000 a second
LAST_CONNECTIONS_POLL_S = 0.005  # how often the queue is looked at
QUIET_QUEUE_S = 0.05  # a handshake that is under way ends within a round trip to the proxy in front
SHUTDOWN_DRAIN_S = 2.0  # what waiting appends get to be written
GC_EVERY_OBJECTS = 20_000  # new objects between two looks for cycles, where a process reads the whole log; else 700

# The command line's long work.
BACKGROUND_NICENESS = 10  # a tenth of the weight of what has 0
PROGRESS_LINE_S = 10.0  # between two lines of progress where there is no terminal
