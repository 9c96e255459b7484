-- name: tables
-- `fills`: what each fill adds, as long as it counts. `positions`: the sums over it. A notional is quantity times price.
create table fills (
    order_id uuid not null,
    exec_id text not null,
    position bigint not null,
    account text not null,
    symbol text not null,
    side text not null,
    quantity bigint not null,
    notional numeric not null,
    counts boolean not null,
    primary key (order_id, exec_id)
);
create table positions (
    account text not null,
    symbol text not null,
    position bigint not null,
    bought bigint not null,
    bought_notional numeric not null,
    sold bigint not null,
    sold_notional numeric not null,
    primary key (account, symbol)
) with (fillfactor = 80);

-- name: fill
-- A fill may come before what refers to it, or after: its row keeps both. The old rows are those from before the
-- statement, so what a position changes by is the difference.
with told (order_id, exec_id, position, account, symbol, side, quantity, notional, counts) as (
    select * from unnest(
        %b::uuid[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::numeric[],
        %b::boolean[]
    )
),
kept as (
    insert into fills select * from told
    on conflict (order_id, exec_id) do update set
        position = excluded.position,
        quantity = fills.quantity + excluded.quantity,
        notional = fills.notional + excluded.notional,
        counts = fills.counts and excluded.counts
    returning *
),
moved as (
    select kept.*, kept.counts::int - coalesce(old.counts, false)::int as times
    from kept left join fills old using (order_id, exec_id)
)
insert into positions (account, symbol, position, bought, bought_notional, sold, sold_notional)
select
    account, symbol, max(position),
    coalesce(sum(times * quantity) filter (where side = 'buy'), 0),
    trim_scale(coalesce(sum(times * notional) filter (where side = 'buy'), 0)),
    coalesce(sum(times * quantity) filter (where side = 'sell'), 0),
    trim_scale(coalesce(sum(times * notional) filter (where side = 'sell'), 0))
from moved group by account, symbol
on conflict (account, symbol) do update set
    position = greatest(positions.position, excluded.position),
    bought = positions.bought + excluded.bought,
    bought_notional = trim_scale(positions.bought_notional + excluded.bought_notional),
    sold = positions.sold + excluded.sold,
    sold_notional = trim_scale(positions.sold_notional + excluded.sold_notional)

-- name: listed
select symbol as place, symbol, bought, bought_notional, sold, sold_notional, position
from {schema}.positions
where account = %(account)s
    and (%(symbol)s::text is null or symbol = %(symbol)s)
    and (%(after)s::text is null or symbol > %(after)s)
order by symbol
limit %(limit)s
