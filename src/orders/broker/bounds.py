"""Every bound of what goes through RabbitMQ, each with its reason."""

# The connection
CONNECT_TIMEOUT_S = 5.0  # to connect, log in and open a channel: milliseconds; a frozen broker accepts and says nothing
DECLARE_TIMEOUT_S = 30.0  # 65 quorum queues made for the first time take a second or two, just after its start ten
PUBLISH_TIMEOUT_S = 5.0  # for all confirms of one call: a quorum queue confirms after its disk, some 10 ms
CLOSE_TIMEOUT_S = 1.0  # a broker that is away does not answer a goodbye
RECONNECT_S = (0.1, 2.0)  # first and longest pause between two attempts: back within 2 s of the broker's return
HEARTBEAT_S = 5  # both sides beat: a connection whose other end is silent for some 18 s is lost
BLOCKED_LOOK_S = 0.05  # the client knows at once whether the broker has blocked it

# The queues of adapter work
MAX_HINTS = 500  # of one message: 30 kB; a message costs 0.3 ms in Python, however many hints are in it
MAX_QUEUED_MESSAGES = 10_000  # of one shard while no adapter runs; what comes then is left to the table of duties
MAX_QUEUED_BYTES = (
    4_000_000  # the same: over all shards 256 MB, so that a forgotten queue never fills the broker's disk
)
FULL_QUEUE_TOLD_S = 60.0  # a line in the log so often at the most while a queue is full
MAX_DEAD_MESSAGES = 10_000  # what cannot be decoded, kept for a person; the oldest leave
WORK_DELIVERY_LIMIT = 1_000_000  # a good message may be redelivered at every move of its shard; only rejects are dead
