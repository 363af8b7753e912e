--[[
Book: B. Turns an Order UUID's spaces into booked ones, every OrderItem or none (contract, rules 15–19).

USES clock, opportunity, lease, availability, policy, order
KEYS
  [1] lease        string  the lease of this Order UUID
  [2] order        hash    the Order, or the OrderProposal, of this Order UUID
  [3] seller       hash    the Seller and its policy
  [4] leases       hash    the live leases of this Booking Partner, by expiry
  [5] due          zset    Opportunities by when the sweeper has something to do
  [6] feed         zset    Opportunities by `modified`
  [7…] opportunity, holds  a pair for every Opportunity of the request, the lease, the proposal and the pools
ARGV
  [1] holder       text    the name of this Order UUID in keys
  [2] digest       text    of the OrderItems and the customer: what makes two calls the same; '' to book the proposal
  [3] refused      count   OrderItems that the caller has already refused
  [4] total        text    "<decimal> <currency>" of `totalPaymentDue`, either of them or ''
  [5…] for every pair: ref text, count, and for every OrderItem: position, offer, id
REPLY
  {1, fields…}     booked; names and values of the Order's hash
  {2, fields…}     it was booked before by the same call; likewise
  {3, now seconds, {group…}}  spaces are lacking: nothing was changed, the lease stands; each group as `describe` has it
  {4, now seconds, {group…}}  refused for another reason; likewise
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
  {0}              more has expired than one run drops: the same call again
  {-1}             the Order UUID belongs to another Order
  {-2}             the Order UUID belongs to an Order that was deleted
  {-4, total}      `totalPaymentDue` is not the sum, which is "<decimal> <currency>" or "<decimal> "
  {-5}             the OrderProposal was rejected
  {-6}             there are no OrderItems and there is no OrderProposal
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it finds the Order under the same digest, writes it as it is and answers 2.
]]
local lease_key, order_key, seller_key, leases_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local due_key, feed_key = KEYS[5], KEYS[6]
local holder, digest, refused, total = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local now, microseconds = clock()
local order = read_order(order_key)
if order.state == 'deleted' then
  return { -2 }
elseif order.state == 'booked' then
  -- An earlier release, which wrote no `gross`, did not say which Orders had been proposals.
  if digest == order.digest or digest == '' and (order.status or not order.gross) then
    write_again(order_key, order)
    return { 2, unpack(call('HGETALL', order_key)) }
  end
  return { -1 }
elseif order.state == 'proposed' and string.find(order.status, 'Rejected', 1, true) then
  return { -5 }
elseif digest == '' and not order.state then
  return { -6 }
end

local lease = read_lease(lease_key, now)
local groups = read_groups(7, 5)
local lines = lease and lease.lines or {}
if digest == '' then
  lines = refs_of(order.lines)
  for ref in pairs(lease and lease.lines or {}) do
    lines[ref] = true
  end
  for _, group in ipairs(groups) do
    group.items = proposed_items(order.lines[group.ref])
  end
end
local missing = open_opportunities(groups, lines, due_key, feed_key, now, microseconds)
if missing then
  return missing
end

local maximum_spaces, tax_mode = read_policy(seller_key, { 'maximum_spaces', 'tax_mode' }, { math.huge })
local errors, is_lacking = assess(groups, lease, maximum_spaces)
refused = refused + errors
local gross = gross_flag(tax_mode)
local expected = refused == 0 and mismatched_total(groups, total, gross == 1)
if refused > 0 or expected then
  return told(expected and { -4, expected } or { is_lacking and 3 or 4, now, describe(groups, holder, now) })
end

local at = instant(now, microseconds)
local fields = { 'state', 'booked', 'digest', digest == '' and order.digest or digest, 'at', at, 'gross', tostring(gross) }
if order.status then
  fields[#fields + 1] = 'status'
  fields[#fields + 1] = order.status
end
for _, group in ipairs(groups) do
  if group.wanted > 0 then
    fields[#fields + 1] = group.ref
    fields[#fields + 1] = order_line(group)
  end
end
end_lease(lease_key, groups, holder, due_key)
for _, group in ipairs(groups) do
  if group.wanted > 0 then
    count_booked(groups, group, group.pools, group.wanted)
  end
end
if order.state then
  call('DEL', order_key)
end
call('HSET', order_key, unpack(fields))
if lease then
  recount_lease(leases_key, now, lease.expires, nil)
end
move_in_feed(feed_key, groups, now, microseconds)
return told({ 1, unpack(fields) })
