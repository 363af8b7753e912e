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

-- Calls wait for the whole step: so many holds are enough for one.
local MOST_HOLDS = 250

local now, microseconds = clock()
local budget, moved = MOST_HOLDS, 0
local groups = read_groups(3, 1)
for _, group in ipairs(groups) do
  if budget > 0 then
    read_totals(group)
    if group.known then
      budget = budget - settle(group, now, budget)
      moved = moved + (group.moved and 1 or 0)
      -- It may have been listed for an expiry that is none any more.
      group.is_settled = true
    elseif tonumber(call('ZSCORE', due_key, group.ref) or now + 1) <= now then
      call('ZREM', feed_key, group.ref)
      call('ZREM', due_key, group.ref)
    end
  end
end
update_due(due_key, groups)
move_in_feed(feed_key, groups, now, microseconds)
return told(moved)
