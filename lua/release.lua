--[[
Release: gives back everything that an Order UUID holds (contract, «Calls», release).

USES clock, opportunity, lease, policy
KEYS
  [1] lease        string  the lease of this Order UUID
  [2] order        hash    the Order, or the OrderProposal, of this Order UUID
  [3] age          string  when the lease that a call ended was first leased, until it would have expired
  [4] leases       hash    the live leases of this Booking Partner, by expiry
  [5] due          zset    Opportunities by when the sweeper has something to do
  [6] feed         zset    Opportunities by `modified`
  [7…] opportunity, holds  a pair for every Opportunity of the lease and its pools
ARGV
  [1] holder       text    the name of this Order UUID in keys
  [2…] for every pair: ref text, count (0)
REPLY
  {1, spaces}      how many spaces came back; 0 when nothing was held, or a proposal holds it
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
  {0}              more has expired than one run drops: the same call again
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it finds no lease and gives back nothing more.
]]
local lease_key, order_key, age_key = KEYS[1], KEYS[2], KEYS[3]
local leases_key, due_key, feed_key = KEYS[4], KEYS[5], KEYS[6]
local holder = ARGV[1]

local now, microseconds = clock()
local lease = read_lease(lease_key, now)
if not lease or call('EXISTS', order_key) == 1 then
  return { 1, 0 }
end
local groups = read_groups(7, 2)
local missing = open_opportunities(groups, lease.lines, due_key, feed_key, now, microseconds)
if missing then
  return missing
end

local released = keep_as_held(groups, lease)
end_lease(lease_key, groups, holder, due_key)
recount_lease(leases_key, now, lease.expires, nil)
remember_age(age_key, lease)
move_in_feed(feed_key, groups, now, microseconds)
return told({ 1, released })
