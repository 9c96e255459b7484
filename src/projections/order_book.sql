-- name: tables
-- `resting`: what each open limit order rests at. `levels`: the sums over it by price. Both change with every batch, so
-- there is room in the pages.
create table resting (
    order_id uuid primary key,
    position bigint not null,
    account text not null,
    symbol text not null,
    side text not null,
    price numeric not null,
    quantity bigint not null
) with (fillfactor = 80);
create table levels (
    account text not null,
    symbol text not null,
    side text not null,
    price numeric not null,
    position bigint not null,
    quantity bigint not null,
    orders bigint not null,
    primary key (account, symbol, side, price)
) with (fillfactor = 80);

-- name: rest
-- An order's row and its states in the batch are one sequence. Wherever it takes a turn, what was there leaves its level
-- and what is there now comes in; a level that was left by all goes. So a level's position is that of the last turn at
-- it, in whatever batches the turns came.
with told (order_id, position, account, symbol, side, price, quantity) as (
    select * from unnest(
        %b::uuid[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::numeric[], %b::bigint[]
    )
),
states as (
    select
        *,
        lag(price) over sequence as old_price,
        coalesce(lag(quantity) over sequence, 0) as old_quantity
    from (
        select order_id, position, account, symbol, side, price, quantity, true as is_new from told
        union all
        select order_id, position, account, symbol, side, price, quantity, false from resting
        where order_id in (select order_id from told)
    ) as known
    window sequence as (partition by order_id order by position)
),
turns as (
    select * from states
    where is_new and (quantity, case when quantity > 0 then price end)
        is distinct from (old_quantity, case when old_quantity > 0 then old_price end)
),
latest as (
    select distinct on (order_id) * from turns order by order_id, position desc
),
gone as (
    delete from resting using latest where resting.order_id = latest.order_id and latest.quantity = 0
),
kept as (
    insert into resting (order_id, position, account, symbol, side, price, quantity)
    select order_id, position, account, symbol, side, price, quantity from latest where quantity > 0
    on conflict (order_id) do update set
        position = excluded.position, price = excluded.price, quantity = excluded.quantity
),
moved as (
    select account, symbol, side, price, max(position) as position, sum(quantity) as quantity, sum(orders) as orders
    from (
        select account, symbol, side, price, position, quantity, 1 as orders from turns where quantity > 0
        union all
        select account, symbol, side, old_price, position, -old_quantity, -1 from turns where old_quantity > 0
    ) as moves
    group by account, symbol, side, price
),
new as (
    select
        account, symbol, side, price, moved.position,
        coalesce(levels.quantity, 0) + moved.quantity as quantity,
        coalesce(levels.orders, 0) + moved.orders as orders
    from moved left join levels using (account, symbol, side, price)
),
emptied as (
    delete from levels using new
    where new.orders = 0 and (levels.account, levels.symbol, levels.side, levels.price)
        = (new.account, new.symbol, new.side, new.price)
)
insert into levels (account, symbol, side, price, position, quantity, orders)
select account, symbol, side, price, position, quantity, orders from new where orders > 0
on conflict (account, symbol, side, price) do update set
    position = excluded.position, quantity = excluded.quantity, orders = excluded.orders
