-- name: tables
-- `days`: the sums. `endings`: how and when each order that is not open ended. `fills`: what each fill adds to which
-- day, as long as it counts; `reported_at` is null while it was only referred to. A correction stands in the place of
-- the fill that it corrects: on its day, and where that was in the log.
create table days (
    account text not null,
    symbol text not null,
    day date not null,
    position bigint not null,
    placed bigint not null default 0,
    executed bigint not null default 0,
    canceled bigint not null default 0,
    rejected bigint not null default 0,
    expired bigint not null default 0,
    fills bigint not null default 0,
    quantity bigint not null default 0,
    notional numeric not null default 0,
    primary key (account, day, symbol)
) with (fillfactor = 80);
create table endings (
    order_id uuid primary key,
    position bigint not null,
    account text not null,
    symbol text not null,
    day date not null,
    status text not null
);
create table fills (
    order_id uuid not null,
    exec_id text not null,
    position bigint not null,
    account text not null,
    symbol text not null,
    day date,
    reported_at bigint,
    quantity bigint not null,
    price numeric not null,
    counts boolean not null,
    primary key (order_id, exec_id)
);
create index fills_in_order on fills (account, symbol, day, reported_at) where counts;
create index fills_by_price on fills (account, symbol, day, price) where counts;

-- name: place
insert into days (account, symbol, day, position, placed)
select * from unnest(%b::text[], %b::text[], %b::date[], %b::bigint[], %b::bigint[])
on conflict (account, day, symbol) do update set
    position = greatest(days.position, excluded.position), placed = days.placed + excluded.placed

-- name: end
-- An order's row and its states in the batch are one sequence. At each turn of it what was counted is counted no more,
-- on the day that it was counted on. So the rows are the same in whatever batches the turns come.
with told (order_id, position, account, symbol, day, status) as (
    select * from unnest(%b::uuid[], %b::bigint[], %b::text[], %b::text[], %b::date[], %b::text[])
),
states as (
    select *, coalesce(lag(status) over (partition by order_id order by position), 'Placed') as before
    from (
        select order_id, position, account, symbol, day, status, true as is_new from told
        union all
        select order_id, position, account, symbol, day, status, false from endings
        where order_id in (select order_id from told)
    ) as known
),
turns as (
    select *, lag(day) over (partition by order_id order by position) as day_before
    from states where status <> before or not is_new
),
latest as (
    select distinct on (order_id) * from turns where is_new order by order_id, position desc
),
reopened as (
    delete from endings using latest where endings.order_id = latest.order_id and latest.status = 'Placed'
),
ended as (
    insert into endings (order_id, position, account, symbol, day, status)
    select order_id, position, account, symbol, day, status from latest where status <> 'Placed'
    on conflict (order_id) do update set
        position = excluded.position, day = excluded.day, status = excluded.status
),
counted as (
    select account, symbol, day, position, status, 1 as times from turns where is_new and status <> 'Placed'
    union all
    select account, symbol, day_before, position, before, -1 from turns where is_new and before <> 'Placed'
)
insert into days (account, symbol, day, position, executed, canceled, rejected, expired)
select
    account, symbol, day, max(position),
    coalesce(sum(times) filter (where status = 'Executed'), 0),
    coalesce(sum(times) filter (where status = 'Canceled'), 0),
    coalesce(sum(times) filter (where status = 'Rejected'), 0),
    coalesce(sum(times) filter (where status = 'Expired'), 0)
from counted group by account, symbol, day
on conflict (account, day, symbol) do update set
    position = greatest(days.position, excluded.position),
    executed = days.executed + excluded.executed,
    canceled = days.canceled + excluded.canceled,
    rejected = days.rejected + excluded.rejected,
    expired = days.expired + excluded.expired

-- name: fill
-- As in positions.sql; and what stands in the place of a fill that an earlier batch has reported takes its day.
with told (
    order_id, exec_id, position, account, symbol, day, reported_at, in_place_of, quantity, price, counts
) as (
    select * from unnest(
        %b::uuid[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::date[], %b::bigint[], %b::text[],
        %b::bigint[], %b::numeric[], %b::boolean[]
    )
),
kept as (
    insert into fills (order_id, exec_id, position, account, symbol, day, reported_at, quantity, price, counts)
    select
        told.order_id, told.exec_id, told.position, told.account, told.symbol, coalesce(first.day, told.day),
        coalesce(first.reported_at, told.reported_at), told.quantity, told.price, told.counts
    from told
    left join fills first
        on first.order_id = told.order_id and first.exec_id = told.in_place_of and first.reported_at < told.reported_at
    on conflict (order_id, exec_id) do update set
        position = excluded.position,
        day = coalesce(excluded.day, fills.day),
        reported_at = coalesce(excluded.reported_at, fills.reported_at),
        quantity = fills.quantity + excluded.quantity,
        price = fills.price + excluded.price,
        counts = fills.counts and excluded.counts
    returning *
),
moved as (
    select kept.*, kept.counts::int - coalesce(old.counts, false)::int as times
    from kept left join fills old using (order_id, exec_id)
    where kept.day is not null
)
insert into days (account, symbol, day, position, fills, quantity, notional)
select
    account, symbol, day, max(position), sum(times), sum(times * quantity), trim_scale(sum(times * quantity * price))
from moved group by account, symbol, day
on conflict (account, day, symbol) do update set
    position = greatest(days.position, excluded.position),
    fills = days.fills + excluded.fills,
    quantity = days.quantity + excluded.quantity,
    notional = trim_scale(days.notional + excluded.notional)

-- name: listed
-- A place is the day, 10 characters, a space and the symbol. The prices come from an index each: they need no upkeep, and a
-- bust or correction needs no rule of its own.
select
    to_char(page.day, 'YYYY-MM-DD') || ' ' || page.symbol as place, page.day, page.symbol, page.placed, page.executed, page.canceled,
    page.rejected, page.expired, page.fills, page.quantity, page.notional, opened.price, bounds.high, bounds.low,
    closed.price, page.position
from (
    select * from {schema}.days
    where account = %(account)s
        and (%(symbol)s::text is null or symbol = %(symbol)s)
        and (
            %(after)s::text is null
            or (to_char(day, 'YYYY-MM-DD'), symbol) < (left(%(after)s, 10), substr(%(after)s, 12))
        )
    order by day desc, symbol desc
    limit %(limit)s
) as page
left join lateral (
    select price from {schema}.fills
    where counts and (account, symbol, day) = (page.account, page.symbol, page.day)
    order by reported_at, position limit 1
) as opened on true
left join lateral (
    select price from {schema}.fills
    where counts and (account, symbol, day) = (page.account, page.symbol, page.day)
    order by reported_at desc, position desc limit 1
) as closed on true
left join lateral (
    select max(price) as high, min(price) as low from {schema}.fills
    where counts and (account, symbol, day) = (page.account, page.symbol, page.day)
) as bounds on true
order by page.day desc, page.symbol desc
