--[[
Decide: what the Seller or the Customer says to an OrderProposal (contract, rule 19).

USES clock, opportunity, lease, availability, policy, order
KEYS
  [1] lease        string  the lease of this Order UUID
  [2] order        hash    the OrderProposal of this Order UUID
  [3] leases       hash    the live leases of this Booking Partner, by expiry
  [4] due          zset    Opportunities by when the sweeper has something to do
  [5] feed         zset    Opportunities by `modified`
  [6…] opportunity, holds  a pair for every Opportunity of the lease and its pools
ARGV
  [1] holder       text    the name of this Order UUID in keys
  [2] status       text    SellerAccepted, SellerRejected or CustomerRejected
  [3] grace_seconds seconds how long the spaces of a rejected proposal stay held
  [4…] for every pair: ref text, count (0)
REPLY
  {1}              it is so now, or was before
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
  {-7}             there is no such OrderProposal
  {-8, status}     it was decided otherwise before
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it finds the status that it wrote; a rejected lease is never made longer.
]]
local lease_key, order_key, leases_key, due_key, feed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local holder, status, grace_seconds = ARGV[1], ARGV[2], tonumber(ARGV[3])

local now, microseconds = clock()
local order = read_order(order_key)
if order.state ~= 'proposed' then
  return { -7 }
elseif order.status == status then
  return { 1 }
elseif string.find(order.status, 'Rejected', 1, true) then
  return { -8, order.status }
end
local lease = read_lease(lease_key, now)
local groups = read_groups(6, 4)
local missing = read_opportunities(groups, lease and lease.lines)
if missing then
  return missing
end

call('HSET', order_key, 'status', status)
if lease and status ~= 'SellerAccepted' then
  assess(groups, lease, math.huge, due_key, now)
  local lapses = nil
  if grace_seconds > 0 then
    keep_as_held(groups)
    local expires = min(now + grace_seconds + (microseconds > 0 and 1 or 0), lease.expires)
    local fields = { step = lease.step, first = lease.first, paid = lease.paid, owner = lease.owner, expires = expires }
    lapses = write_lease(lease_key, groups, holder, fields, due_key)
  else
    end_lease(lease_key, groups, holder, due_key)
  end
  recount_lease(leases_key, now, lease.expires, lapses)
  move_in_feed(feed_key, groups, now, microseconds)
end
return told({ 1 })
