--[[
Delete: takes an Order back as if it had never been, and leaves a stub (contract, rule 20).

USES clock, opportunity, lease, availability, order
KEYS
  [1] order        hash    the Order of this Order UUID
  [2] due          zset    Opportunities by when the sweeper has something to do
  [3] feed         zset    Opportunities by `modified`
  [4…] opportunity, holds  a pair for every Opportunity of the Order and its pools
ARGV
  [1…] for every pair: ref text, count (0)
REPLY
  {1}              deleted; its spaces are free
  {2}              it was deleted before
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
  {-7}             there is no such Order
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it finds the stub, writes it as it is and answers 2.
]]
local order_key, due_key, feed_key = KEYS[1], KEYS[2], KEYS[3]

local now, microseconds = clock()
local order = read_order(order_key)
if order.state == 'deleted' then
  write_again(order_key, order)
  return { 2 }
elseif order.state ~= 'booked' then
  return { -7 }
end
local groups = read_groups(4, 1)
local missing = read_opportunities(groups, refs_of(order.lines))
if missing then
  return missing
end

assess(groups, nil, math.huge, due_key, now)
for ref, line in pairs(order.lines) do
  local _, pools, rows = read_order_line(line)
  local spaces = 0
  for _, row in ipairs(rows) do
    spaces = spaces + (row[5] == '' and 1 or 0)
  end
  if spaces > 0 then
    count_booked(groups, groups[ref], pools, -spaces)
  end
end
call('DEL', order_key)
call('HSET', order_key, 'state', 'deleted', 'at', instant(now, microseconds))
move_in_feed(feed_key, groups, now, microseconds)
return told({ 1 })
