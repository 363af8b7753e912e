--[[
Quote: C1 and C2. Makes the lease of an Order UUID match its OrderItems (contract, rules 1–14 and 28).

USES clock, opportunity, lease, availability, policy
KEYS
  [1] lease        string  the lease of this Order UUID
  [2] order        hash    the Order of this Order UUID
  [3] age          string  when the lease that a call ended was first leased, until it would have expired
  [4] seller       hash    the Seller and its policy
  [5] leases       hash    the live leases of this Booking Partner, by expiry
  [6] due          zset    Opportunities by when the sweeper has something to do
  [7] feed         zset    Opportunities by `modified`
  [8…] opportunity, holds  a pair for every Opportunity of the request, the lease and the pools
ARGV
  [1] holder       text    the name of this Order UUID in keys
  [2] owner        text    "<partner>|<uuid>", the UUID in 22 characters
  [3] step         code    1 anonymous (C1), 2 named (C2)
  [4] hold_seconds seconds how long the step leases where no policy says; 0: it checks only
  [5] maximum_hold_seconds  longest time from the first lease to the last expiry, likewise
  [6] strict       flag    1: hold nothing new unless every OrderItem can be held
  [7] refused      count   OrderItems that the caller has already refused
  [8…] for every pair: ref text, count, and for every OrderItem: position, offer, id
REPLY
  {1, now seconds, expires seconds or 0, gross, {group…}, step, expires seconds}  gross is 1 where prices are
                   what is paid; each group as `describe` has it; step and expiry of the lease that there was
                   before, 0 where there was none
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
  {0}              more has expired than one run drops: the same call again
  {-1}             the Order UUID belongs to an Order or OrderProposal that exists
  {-2}             the Order UUID belongs to an Order that was deleted
  {-3, seconds}    the Booking Partner has too many leases; so long until the first of them expires
  {9, leases, reply}  any of these replies, and how many leases were found to have lapsed
RETRY
  Run again, it finds the lease that it made and extends it to now + hold: the same spaces, held once.
]]
local lease_key, order_key, age_key, seller_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leases_key, due_key, feed_key = KEYS[5], KEYS[6], KEYS[7]
local holder, owner, step, hold_seconds = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local maximum_hold_seconds, strict, refused = tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7])

local now, microseconds = clock()
local state = call('HGET', order_key, 'state')
if state then
  return { state == 'deleted' and -2 or -1 }
end
local lease = read_lease(lease_key, now)
local groups = read_groups(8, 8)
local missing = open_opportunities(groups, lease and lease.lines, due_key, feed_key, now, microseconds)
if missing then
  return missing
end

local duration, maximum_hold, maximum_spaces, maximum_leases, tax_mode = read_policy(
  seller_key,
  { step == 1 and 'anonymous' or 'named', 'maximum_hold', 'maximum_spaces', 'maximum_leases', 'tax_mode' },
  { hold_seconds, maximum_hold_seconds, math.huge, math.huge }
)
refused = refused + assess(groups, lease, maximum_spaces)
local leases_now = duration > 0
local kept = 0
for _, group in ipairs(groups) do
  -- A step that does not lease, and strict handling of what does not fit, take nothing new.
  if not leases_now or strict and refused > 0 then
    group.keep = min(group.had, group.keep)
  end
  kept = kept + group.keep
end
-- A lease whose Opportunities were all withdrawn is none.
local live = holds_any(groups) and lease or { step = 0, expires = 0 }
local most = maximum_leases + (lease and 1 or 0)
local refusal = kept > 0 and not live.first and refuse_lease(leases_key, most, now)
if refusal then
  return told(refusal)
end

local fields = { step = max(step, live.step), first = live.first, paid = live.paid, owner = owner, expires = live.expires }
if kept == 0 then
  fields.expires = 0
elseif leases_now then
  -- The step's length is rounded up to a whole second, the maximum hold down (rule 11).
  fields.first = live.first or first_leased(age_key, lease, now, maximum_hold)
  local wished = now + duration + (microseconds > 0 and 1 or 0)
  fields.expires = max(live.expires, min(wished, fields.first + maximum_hold))
else
  fields.step = live.step
end
if lease or kept > 0 then
  keep_of_pools(groups)
  local expires = write_lease(lease_key, groups, holder, fields, due_key)
  recount_lease(leases_key, now, lease and lease.expires, expires)
  if not expires then
    remember_age(age_key, lease)
  end
end
move_in_feed(feed_key, groups, now, microseconds)
local gross = gross_flag(tax_mode)
return told({ 1, now, fields.expires, gross, describe(groups, holder, now), live.step, live.expires })
