--[[
Look: the lease that an Order UUID holds now (contract, «Calls», look).

USES clock, opportunity, lease
KEYS
  [1] lease        string  the lease of this Order UUID
  [2…] opportunity, holds  a pair for every Opportunity of the lease and its pools
ARGV
  [1…] for every pair: ref text, count (0)
REPLY
  {1, expires seconds, step, {type, id, {position, offer, price}…}…}   one table per Opportunity
  {0, refs…}       the keys of these Opportunities are needed too
  {-7}             nothing is held
RETRY
  At most it removes a lease that has expired: it may run any number of times.
]]
local lease_key = KEYS[1]

local now = clock()
local lease = read_lease(lease_key, now)
if not lease then
  return { -7 }
end
local groups = read_groups(2, 1)
local missing = read_opportunities(groups, lease.lines)
if missing then
  return missing
end

local answer = { 1, lease.expires, lease.step }
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
return answer[4] and answer or { -7 }
