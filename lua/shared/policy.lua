--[[
A Seller is one hash: id, and of its policy what it says (contract, rule 14); what is absent comes from the
settings: anonymous, named, proposal (seconds that the step leases; 0: it does not), maximum_hold and
payment_window (seconds), maximum_spaces, maximum_leases, tax_mode.
The live leases of a Booking Partner at a Seller are one hash: total, next (no bucket is before that
second), and for every second at which leases expire how many do. It expires with the last of them.
`mended`: microseconds since 1970 when it was last mended; absent: it never was.
]]

-- Returns those fields of a Seller's policy, the defaults where it leaves them out.
local function read_policy(seller_key, names, defaults)
  local values = call('HMGET', seller_key, unpack(names))
  local policy = {}
  for index, name in ipairs(names) do
    policy[name] = tonumber(values[index] or nil) or defaults[index]
  end
  return policy
end

-- Returns the count of a Booking Partner's live leases, without those that have expired.
local function count_leases(leases_key, now)
  local values = call('HMGET', leases_key, 'total', 'next')
  local total, next_second = tonumber(values[1] or 0), tonumber(values[2] or nil)
  while next_second and next_second <= now and total > 0 do
    local seconds = {}
    for second = next_second, min(now, next_second + PORTION - 1) do
      seconds[#seconds + 1] = digits(second)
    end
    for _, count in ipairs(call('HMGET', leases_key, unpack(seconds))) do
      total = total - tonumber(count or 0)
    end
    call('HDEL', leases_key, unpack(seconds))
    next_second = next_second + #seconds
    call('HSET', leases_key, 'total', total, 'next', next_second)
  end
  return total
end

-- Returns the first second at which one of the live leases expires.
local function first_expiry(leases_key, now)
  local first = nil
  for second, count in pairs(read_hash(leases_key)) do
    second = tonumber(second)
    if second and second > now and tonumber(count) > 0 then
      first = min(first or second, second)
    end
  end
  return first or now + 1
end

-- Moves a lease from the second at which it was to expire to another; nil is no lease.
local function recount_lease(leases_key, now, total, before, after)
  if before == after then
    return
  end
  total = total + (after and 1 or 0) - (before and 1 or 0)
  call('HSET', leases_key, 'total', total, 'next', now + 1)
  if before and call('HINCRBY', leases_key, before, -1) == 0 then
    call('HDEL', leases_key, before)
  end
  if after and call('HINCRBY', leases_key, after, 1) == 1 and call('EXPIRETIME', leases_key) < after then
    call('EXPIREAT', leases_key, after)
  end
end

-- Returns when an Order UUID was first leased: a lease that ended and is made again within the
-- maximum hold does not begin anew.
local function first_leased(window_key, now, maximum_hold)
  local first = tonumber(call('GET', window_key) or nil)
  return first and first + maximum_hold > now and first or now
end
