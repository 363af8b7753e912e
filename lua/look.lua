--[[
Look: the lease that an Order UUID holds now (contract, «Calls», look).

USES clock, opportunity, lease, policy
KEYS
  [1] lease        string  the lease of this Order UUID
  [2] order        hash    the Order, or the OrderProposal, of this Order UUID
  [3] seller       hash    the Seller and its policy
  [4…] opportunity, holds  a pair for every Opportunity of the lease and its pools
ARGV
  [1…] for every pair: ref text, count (0)
REPLY
  {1, expires seconds, step, gross, {type, id, {position, offer, price}…}…}   gross is 1 where prices are what is
                   paid; one table per Opportunity
  {0, refs…}       the keys of these Opportunities are needed too
  {-1}             nothing is held
  {-2}             nor will it be: the Order UUID belongs to an Order that was deleted
RETRY
  At most it removes a lease that has expired: it may run any number of times.
]]
local lease_key, order_key, seller_key = KEYS[1], KEYS[2], KEYS[3]

local now = clock()
local lease = read_lease(lease_key, now)
if not lease then
  return { call('HGET', order_key, 'state') == 'deleted' and -2 or -1 }
end
local groups = read_groups(4, 1)
local missing = read_opportunities(groups, lease.lines)
if missing then
  return missing
end

local answer = { 1, lease.expires, lease.step, gross_flag(call('HGET', seller_key, 'tax_mode')) }
for _, group in ipairs(groups) do
  read_held(group, lease)
  if #group.rows > 0 then
    local offers = {}
    for name, value in pairs(read_hash(group.key)) do
      local offer = string.match(name, '^offer:(.*)$')
      if offer then
        offers['#' .. string.match(value, '^%d+')] = offer
      end
    end
    for _, row in ipairs(group.rows) do
      row[2] = offers[row[2]] or row[2]
    end
    answer[#answer + 1] = { group.type, group.id, unpack(group.rows) }
  end
end
return answer[5] and answer or { -1 }
