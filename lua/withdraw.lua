--[[
Withdraw: makes an Opportunity unknown again and ends its leases; its Orders stay (contract, «Calls»).

USES clock, opportunity, lease
KEYS
  [1] due          zset    Opportunities by when the sweeper has something to do
  [2] feed         zset    Opportunities by `modified`
  [3…] opportunity, holds  a pair for the Opportunity, and for every pool that it draws on
ARGV
  [1…] for every pair: ref text, count (0)
REPLY
  {1}              withdrawn
  {2}              it was not registered
  {0, refs…}       the keys of these pools are needed too; nothing was changed
RETRY
  Run again, it finds the Opportunity withdrawn and answers 2.
]]
local due_key, feed_key = KEYS[1], KEYS[2]

local groups = read_groups(3, 1)
local missing = read_opportunities(groups)
if missing then
  return missing
end
local group = groups[1]
if not group.known then
  return { 2 }
end
-- Leases of the old epoch hold nothing, so none of them has to be found; but it must be remembered as long as
-- any of them is there.
local last_expiry = tonumber(call('ZRANGE', group.holds_key, -1, -1, 'WITHSCORES')[2] or 0)
call('HINCRBY', group.key, 'epoch', 1)
call('HSET', group.key, 'leased', 0)
call('HDEL', group.key, 'capacity', 'next', 'named', 'proposed', 'pools')
call('UNLINK', group.holds_key)
for _, pool in ipairs(group.pools) do
  stop_drawing(groups[pool.ref], group.ref)
end
local now, microseconds = clock()
call('ZADD', due_key, max(now + DELETED_SECONDS, last_expiry + 1), group.ref)
group.moved = true
move_in_feed(feed_key, groups, now, microseconds)
return { 1 }
