--[[
Inspect: what the ledger says of one Opportunity now (contract, rules 1, last sentence, and 28).

USES clock, opportunity, lease, availability
KEYS
  [1] due          zset    Opportunities by when the sweeper has something to do
  [2] feed         zset    Opportunities by `modified`
  [3…] opportunity, holds  a pair for the Opportunity, and for every pool that it draws on
ARGV
  [1…] for every pair: ref text, count (0)
REPLY
  {1}              it is not registered
  {1, type, capacity, booked, leased, remaining}   spaces
  {0, refs…}       the keys of these pools are needed too; nothing was changed
  {0}              more has expired than one run drops: the same call again
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  It only drops holds that have expired: run again, it finds none of them.
]]
local due_key, feed_key = KEYS[1], KEYS[2]

local now, microseconds = clock()
local groups = read_groups(3, 1)
local missing = open_opportunities(groups, nil, due_key, feed_key, now, microseconds)
if missing then
  return missing
end
assess(groups, nil, math.huge)
local group = groups[1]
if not group.known then
  return told({ 1 })
end
return told({ 1, group.type, group.capacity, group.booked, group.leased, remaining(group) })
