--[[
Payment window: so that a live lease cannot lapse while money moves (contract, rule 27).

USES clock, opportunity, lease, availability, policy
KEYS
  [1] lease        string  the lease of this Order UUID
  [2] seller       hash    the Seller and its policy
  [3] leases       hash    the live leases of this Booking Partner, by expiry
  [4] due          zset    Opportunities by when the sweeper has something to do
  [5] feed         zset    Opportunities by `modified`
  [6…] opportunity, holds  a pair for every Opportunity of the lease and its pools
ARGV
  [1] holder       text    the name of this Order UUID in keys
  [2] wanted_seconds seconds how long the lease is to last from now, at least
  [3] payment_window_seconds seconds the longest window where no policy says
  [4…] for every pair: ref text, count (0)
REPLY
  {1, expires seconds}  the lease lasts until then, at least
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
  {-7}             nothing is held
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it answers what it gave.
]]
local lease_key, seller_key, leases_key, due_key, feed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local holder, wanted_seconds, payment_window_seconds = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local now, microseconds = clock()
local lease = read_lease(lease_key, now)
if not lease then
  return { -7 }
end
local groups = read_groups(6, 4)
local missing = read_opportunities(groups, lease.lines)
if missing then
  return missing
end

assess(groups, lease, math.huge, due_key, now)
if keep_as_held(groups) == 0 then
  move_in_feed(feed_key, groups, now, microseconds)
  return told({ -7 })
elseif lease.paid then
  return told({ 1, lease.paid })
end
local payment_window = read_policy(seller_key, { 'payment_window' }, { payment_window_seconds })
local wished = now + min(wanted_seconds, payment_window) + (microseconds > 0 and 1 or 0)
local expires = max(lease.expires, wished)
local fields = { step = lease.step, first = lease.first, paid = expires, owner = lease.owner, expires = expires }
write_lease(lease_key, groups, holder, fields, due_key)
recount_lease(leases_key, now, lease.expires, expires)
move_in_feed(feed_key, groups, now, microseconds)
return told({ 1, expires })
