--[[
Sweep: drops what has expired of Opportunities that are due, and takes those that were withdrawn a
week ago out of the feed (contract, rules 12 and 22): one bounded step.

USES clock, opportunity, lease
KEYS
  [1] due          zset    Opportunities by when the sweeper has something to do
  [2] feed         zset    Opportunities by `modified`
  [3…] opportunity, holds  a pair for every Opportunity
ARGV
  [1…] for every pair: ref text, count (0)
REPLY
  count            of the Opportunities that moved in the feed; what one step is too short for is
                   still due afterwards
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it finds nothing due of what it has done.
]]
local due_key, feed_key = KEYS[1], KEYS[2]

local now, microseconds = clock()
local budget, moved = PORTION, 0
local groups = read_groups(3, 1)
for _, group in ipairs(groups) do
  -- Calls wait for the whole step: a thousand holds are enough for one.
  if budget > 0 then
    read_opportunity(group)
    if group.known and group.next and group.next <= now then
      budget = budget - settle(group, due_key, now, 1)
      moved = moved + (group.moved and 1 or 0)
    elseif group.known and group.next then
      call('ZADD', due_key, group.next, group.ref)
    elseif group.known then
      call('ZREM', due_key, group.ref)
    elseif tonumber(call('ZSCORE', due_key, group.ref) or now + 1) <= now then
      call('ZREM', feed_key, group.ref)
      call('ZREM', due_key, group.ref)
    end
  end
end
move_in_feed(feed_key, groups, now, microseconds)
return told(moved)
