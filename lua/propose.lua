--[[
Propose: P. Holds every OrderItem or none for a Seller to decide upon (contract, rule 19).

USES clock, opportunity, lease, availability, policy, order
KEYS
  [1] lease        string  the lease of this Order UUID
  [2] order        hash    the Order, or the OrderProposal, of this Order UUID
  [3] age          string  when the lease that a call ended was first leased, until it would have expired
  [4] seller       hash    the Seller and its policy
  [5] leases       hash    the live leases of this Booking Partner, by expiry
  [6] due          zset    Opportunities by when the sweeper has something to do
  [7] feed         zset    Opportunities by `modified`
  [8…] opportunity, holds  a pair for every Opportunity of the request, the lease and the pools
ARGV
  [1] holder       text    the name of this Order UUID in keys
  [2] owner        text    "<partner>|<uuid>", the UUID in 22 characters
  [3] digest       text    of the OrderItems and the customer: what makes two calls the same
  [4] hold_seconds seconds how long a proposal leases where no policy says; 0: it does not
  [5] maximum_hold_seconds  longest time from the first lease to the last expiry of C1 and C2, likewise
  [6] refused      count   OrderItems that the caller has already refused
  [7] total        text    "<decimal> <currency>" of `totalPaymentDue`, either of them or ''
  [8…] for every pair: ref text, count, and for every OrderItem: position, offer, id
REPLY
  {1, expires seconds or 0, fields…}  proposed; names and values of the OrderProposal's hash
  {2, expires seconds or 0, fields…}  it was proposed before by the same call; likewise
  {3, now seconds, {group…}}  spaces are lacking: nothing was changed, the lease stands; each group as `describe` has it
  {4, now seconds, {group…}}  refused for another reason; likewise
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
  {0}              more has expired than one run drops: the same call again
  {-1}             the Order UUID belongs to an Order, or to another OrderProposal
  {-2}             the Order UUID belongs to an Order that was deleted
  {-3, seconds}    the Booking Partner has too many leases; so long until the first of them expires
  {-4, total}      `totalPaymentDue` is not the sum, which is "<decimal> <currency>" or "<decimal> "
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it finds the OrderProposal under the same digest and answers 2.
]]
local lease_key, order_key, age_key, seller_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leases_key, due_key, feed_key = KEYS[5], KEYS[6], KEYS[7]
local holder, owner, digest, hold_seconds = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local maximum_hold_seconds, refused, total = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

local now, microseconds = clock()
local order = read_order(order_key)
local lease = read_lease(lease_key, now)
if order.state == 'deleted' then
  return { -2 }
elseif order.state and (order.state ~= 'proposed' or order.digest ~= digest) then
  return { -1 }
end
local groups = read_groups(8, 8)
local missing = open_opportunities(groups, lease and lease.lines, due_key, feed_key, now, microseconds)
if missing then
  return missing
elseif order.state then
  for _, group in ipairs(groups) do
    read_held(group, lease)
  end
  return told({ 2, holds_any(groups) and lease.expires or 0, unpack(call('HGETALL', order_key)) })
end

local duration, maximum_hold, maximum_spaces, maximum_leases, tax_mode = read_policy(
  seller_key,
  { 'proposal', 'maximum_hold', 'maximum_spaces', 'maximum_leases', 'tax_mode' },
  { hold_seconds, maximum_hold_seconds, math.huge, math.huge }
)
local errors, is_lacking = assess(groups, lease, maximum_spaces)
refused = refused + errors
local gross = gross_flag(tax_mode)
local expected = refused == 0 and mismatched_total(groups, total, gross == 1)
local live = holds_any(groups) and lease or { expires = 0 }
local most = maximum_leases + (lease and 1 or 0)
local is_new = duration > 0 and not live.first
if refused > 0 then
  return told({ is_lacking and 3 or 4, now, describe(groups, holder, now) })
elseif expected then
  return told({ -4, expected })
end
local refusal = is_new and refuse_lease(leases_key, most, now)
if refusal then
  return told(refusal)
end

local at = instant(now, microseconds)
local fields = {
  'state', 'proposed', 'status', 'AwaitingSellerConfirmation', 'digest', digest, 'at', at,
  'gross', tostring(gross),
}
for _, group in ipairs(groups) do
  if group.wanted > 0 then
    fields[#fields + 1] = group.ref
    fields[#fields + 1] = order_line(group)
  end
end
local expires = live.expires
if duration > 0 then
  -- A Seller takes longer to decide than a Customer to pay: the maximum hold is not for proposals.
  expires = max(expires, now + duration + (microseconds > 0 and 1 or 0))
  local first = live.first or first_leased(age_key, lease, now, maximum_hold)
  keep_of_pools(groups)
  local lease_fields = { step = 3, first = first, paid = live.paid, owner = owner, expires = expires }
  write_lease(lease_key, groups, holder, lease_fields, due_key)
  recount_lease(leases_key, now, lease and lease.expires, expires)
end
call('HSET', order_key, unpack(fields))
move_in_feed(feed_key, groups, now, microseconds)
return told({ 1, expires, unpack(fields) })
