"""Every bound of the write side, each with its reason."""

MAX_QUANTITY = 1_000_000_000  # shares an order: fits every venue's 32-bit field
MAX_CLIENT_ORDER_ID = 128  # characters: twice what FIX engines commonly allow
MAX_PRICE_DIGITS = 18  # digits of a price, both sides of the point: any currency, and sums stay exact
MAX_REPORTED_DIGITS = 40  # of a price that a venue reports: sums of any number of fills stay exact (200 digits)
MAX_TEXT = 500  # characters of a reason that a venue or an operator gives

MAX_BODY_BYTES = 64 * 1024  # one order's JSON; an honest one has 300 bytes
MAX_BATCH_ORDERS = 1_000  # orders of one POST /orders/batch: one commit; PostgreSQL takes some 10 ms for it
MAX_BATCH_BODY_BYTES = 2 * 1024 * 1024  # that many orders at seven times what an honest one has
MAX_BATCH_PARTS = 32_000  # members, orders and lists of such a body: an order has at most ten
ORDERS_A_TURN = 100  # of such a batch that are read or decided before others get their turn: some 1 ms
MAX_CURSOR = 256  # characters of a cursor; ours have 40, those with a day and a symbol up to 90
MAX_NUMBER_DIGITS = 100  # characters of a number in a body: far more than any field takes
MAX_WAIT_MS = 5_000  # how long a read waits for what it asks for, the contract's; then 503
MAX_SYMBOL = 32  # characters of a symbol in a catalogue and in filters; the longest built in has 12
MAX_ECHO = 100  # characters of what a client sent that an error shows again
MAX_FIELD_ERRORS = 50  # wrong fields that an answer lists: four times what a body can have
MAX_BATCH_UNITS = 512  # commands a commit: an event's cost is flat from 100 on, and the lock is held some 5 ms
MAX_BATCH_BYTES = 512 * 1024  # psycopg hangs on a statement with 1.15 MB of parameters
MAX_QUEUED_UNITS = 20_000  # appends waiting for the writer: some seconds of its work, then 503
APPEND_TIMEOUT_S = 8.0  # how long a command may wait to be durable, ambiguous commits included
STATEMENT_TIMEOUT_S = 5.0  # a statement or transaction of ours never stays open longer
LOCK_TIMEOUT_S = 4.0  # waiting for the append lock: below the statement's own bound
CONNECT_TIMEOUT_S = 3.0  # opening a connection
READ_BATCH_EVENTS = 2_000  # events a read of the log: 1 MB or so
SHARED_PAGES = 40  # such reads that the followers of a process share: 80,000 events, some 100 MB
READ_AHEAD_PAGES = 10  # of them, read while what was read before is written: a batch of a projection
POLL_INTERVAL_S = 0.25  # how old a follower may be when no NOTIFY arrives
MAX_STREAM_READ = 50_000  # events of one order read at once; past it the fold goes on in pages
CACHED_ORDERS = 10_000  # folded orders kept by version
CACHED_FILLS = 100_000  # of the orders kept: some 35 MB; a single order with more of them is kept all the same
COMMAND_ATTEMPTS = 20  # decisions of one command against a moving stream
VENUE_WAIT_S = 2.0  # DELETE and PUT wait this long for the venue's word
MAX_APPEND_BYTES = (
    2 * 1024 * 1024
)  # one append of its own: 1,000 orders at twice the largest event; a 1 MB event is tested
MAX_QUEUED_BYTES = 64 * 1024 * 1024  # appends waiting for the writer, all together, in memory
RECONNECT_S = 3.0  # a database that restarts is waited for that long before commands are refused
RETRY_PAUSE_S = 0.05  # between two attempts to connect: a refused connection costs nothing
ANSWER_GRACE_S = 0.5  # the server's own timeouts come first; past that the connection counts as lost
READ_CONNECTIONS = 8  # of one process: more reads at once only wait for one another
MAX_QUEUED_READS = 512  # reads of single orders asked for at once, as many as of lists; past it 503 at once
READ_TURN_S = 3.0  # how long one of them waits for its thread, as a list does for its connection; then 503
MAX_BACKOFF_S = 5.0  # between two attempts of what follows the log, while the database is away
FIRST_BACKOFF_S = 0.1  # the first of them; each doubles
FOLLOWER_BATCH_EVENTS = 500  # events a transaction of a follower, at most: some 50 ms of work
CATCH_UP_BATCH_EVENTS = (
    20_000  # of one that writes each order once a batch: behind, it takes a third of the CPU; some 0.2 s
)
FOLLOWER_LOCK_POLL_S = 0.5  # how often a follower that stands by looks whether the lock is free
FOLLOWER_BEAT_S = 0.5  # how often who holds a follower's lock is heard of, even without anything new
FOLLOWER_SILENT_S = 2.5  # who is not heard of for so long has lost the lock: 5 beats, and taken over within 5 s
FOLLOWER_SLOW_S = 1.0  # a transaction of a follower that takes longer halves its batch: 5 s end it
LINK_EVENTS = 1_000  # events a link of the hash chain, at most: 32 kB of digests, some 10 ms of hashing
LINK_INTERVAL_S = 1.0  # links that are not full are this far apart: a commit a second, however many appends
TOLD_HEAD_EVENTS = 10_000  # the chain's head goes to the log output each time it has grown by so much
TOLD_HEAD_S = 600.0  # and when it has grown at all in this time
MAX_LOG_FINDINGS = 100  # of a check of the log that are kept; all are counted
MAX_MISMATCHES = 10_000  # events that are not as the hash chain knows them, and are looked at together: some 3 MB
MAX_UNCOVERED_EVENTS = 10_000  # not in the hash chain yet, of a chain that is kept: ten links, 0.15 s of its work
CHECK_LINKS = 32  # links of the chain a read: 1 MB
CHECK_STATEMENT_S = 60.0  # one read of a check: a batch takes milliseconds, a first read of cold pages seconds
HELD_UNITS = 512  # later units of streams that are in the present batch; past it the drain stops looking
COMMIT_SECONDS = (
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
)  # buckets: one takes some ms
COMMIT_UNITS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # buckets, up to MAX_BATCH_UNITS and a whole batch
RETRY_AFTER_S = 1  # what a client is told to wait: a database that restarts needs about that
