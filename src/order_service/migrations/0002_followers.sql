-- How far each follower of the log has come. A checkpoint moves in the transaction of the rows that it stands for, by
-- compare-and-set on (position, generation): who lost its lock, or follows an older generation, cannot write.

create table public.follower_checkpoint (
    name text not null,
    position bigint not null default 0,
    generation bigint not null default 1,
    constraint follower_checkpoint_key primary key (name),
    constraint follower_checkpoint_position_check check (position >= 0),
    constraint follower_checkpoint_generation_check check (generation >= 1)
) with (
    fillfactor = 10,                       -- a few rows, updated all the time: room for heap-only updates in their page
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0
);
