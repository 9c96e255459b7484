-- name: session
-- What bounds every query, whatever the role's or the server's defaults are; times come out in UTC.
select
    set_config('statement_timeout', %(statement_ms)s, false),
    set_config('lock_timeout', %(statement_ms)s, false),
    set_config('default_transaction_read_only', 'on', false),
    set_config('TimeZone', 'UTC', false)

-- name: checkpoints
select name, position from public.follower_checkpoint

-- name: lags
-- How far each projection has come, whether a projector holds its lock (taken as orders/follower.sql does), and where it
-- fails, if it does; and what became of the rebuild that was asked for last.
select
    asked.name,
    coalesce(reached.position, 0),
    (select coalesce(max(notification_id), 0) from public.order_events),
    public.lock_holder('follower ' || asked.name) is not null,
    failure.position, failure.reason, failure.since,
    coalesce(reached.generation, 0),
    rebuild.state, rebuild.asked_at, rebuild.asked_by, rebuild.started_at, rebuild.ended_at, rebuild.phase,
    rebuild.position, rebuild.target, rebuild.events_per_s, rebuild.outcome
from unnest(%(names)s::text[]) with ordinality as asked (name, place)
left join public.follower_checkpoint reached on reached.name = asked.name
left join public.follower_failure failure on failure.name = asked.name
left join public.projection_rebuild rebuild on rebuild.name = asked.name
order by asked.place

-- name: orders
-- One statement is one snapshot, but PostgreSQL finds its tables one after the other, and a swap may come in between. The
-- position of the tables is found first, and is the checkpoint's unless they were replaced: with equal positions the rows are
-- those of that position, and otherwise it is asked again. Without rows it returns one line.
select reached.position, reached.checkpoint, found.*
from (values (
    (select position from projection_order_status.reached),
    (select position from public.follower_checkpoint where name = 'order_status')
)) as reached (position, checkpoint)
left join lateral (
    select
        placed_position, order_id, position, version, account, client_order_id, symbol, instrument, side, type,
        limit_price, quantity, time_in_force, status, ord_status, filled_quantity, average_price, delivery,
        created_at, updated_at, executed_at
    from projection_order_status.orders
    where account = %(account)s {filters}
    order by placed_position desc
    limit %(limit)s
) found on true
order by found.placed_position desc

-- name: orders_before
and placed_position < %(before)s
-- name: orders_status
and status = %(status)s
-- name: orders_symbol
and symbol = %(symbol)s
-- name: orders_side
and side = %(side)s
-- name: orders_client_order_id
and client_order_id = %(client_order_id)s
-- name: orders_placed_after
and created_at > %(placed_after)s
-- name: orders_placed_before
and created_at < %(placed_before)s

-- name: trades
select reached.position, reached.checkpoint, found.*, traded.quantity, traded.notional
from (values (
    (select position from projection_trades.reached),
    (select position from public.follower_checkpoint where name = 'trades')
)) as reached (position, checkpoint)
left join lateral (
    select position, exec_id, order_id, client_order_id, symbol, side, quantity, price, at, corrects
    from projection_trades.fills
    where counts and account = %(account)s {filters}
    order by position desc
    limit %(limit)s
) found on true
left join projection_trades.order_trades traded on traded.order_id = found.order_id
order by found.position desc

-- name: trades_before
and position < %(before)s
-- name: trades_order_id
and order_id = %(order_id)s
-- name: trades_symbol
and symbol = %(symbol)s

-- name: book
-- The best levels of each side.
select reached.position, reached.checkpoint, found.*
from (values (
    (select position from projection_order_book.reached),
    (select position from public.follower_checkpoint where name = 'order_book')
)) as reached (position, checkpoint)
left join lateral (
    (
        select side, price, quantity, orders from projection_order_book.levels
        where account = %(account)s and symbol = %(symbol)s and side = 'buy'
        order by price desc
        limit %(levels)s
    )
    union all
    (
        select side, price, quantity, orders from projection_order_book.levels
        where account = %(account)s and symbol = %(symbol)s and side = 'sell'
        order by price
        limit %(levels)s
    )
) as found on true
order by found.side, case found.side when 'buy' then -found.price else found.price end

-- name: listing
-- A projection's own list ({listed}), with the position of its tables: one row joined to others keeps their order.
select reached.position, reached.checkpoint, found.*
from (values (
    (select position from {schema}.reached),
    (select position from public.follower_checkpoint where name = '{name}')
)) as reached (position, checkpoint)
left join lateral ({listed}) as found on true
