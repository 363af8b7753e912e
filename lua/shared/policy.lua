--[[
A Seller is one hash: id, and of its policy what it says (contract, rule 14); what is absent comes from the
settings: anonymous, named, proposal (seconds that the step leases; 0: it does not), maximum_hold and
payment_window (seconds), maximum_spaces, maximum_leases, tax_mode.
The live leases of a Booking Partner at a Seller are one hash: total, and for every second at which leases
expire how many do; what expired before the second `next` is counted out. It expires with the last of them.
`mended`: microseconds since 1970 when it was last mended; absent: it never was.
]]

-- Returns 1 where the prices of a Seller are what is paid, taxes and all, else 0 (rule 18).
local function gross_flag(tax_mode)
  return tax_mode == 'https://openactive.io/TaxGross' and 1 or 0
end

-- Returns those fields of a Seller's policy, the defaults where it leaves them out; where there
-- is no default, the text that it has, or false.
local function read_policy(seller_key, names, defaults)
  local values = call('HMGET', seller_key, unpack(names))
  for index, default in ipairs(defaults) do
    values[index] = tonumber(values[index] or nil) or default
  end
  return unpack(values)
end

-- Returns the count of a Booking Partner's live leases; once a second it counts out what has expired.
local function count_leases(leases_key, now)
  local values = call('HMGET', leases_key, 'total', 'next')
  local total, next_second = tonumber(values[1] or 0), tonumber(values[2] or nil)
  if not next_second or next_second > now then
    return total
  end
  local expired = {}
  for name, count in pairs(read_hash(leases_key)) do
    local second = tonumber(name)
    if second and second <= now then
      total = total - tonumber(count)
      expired[#expired + 1] = name
    end
  end
  for first = 1, #expired, PORTION do
    call('HDEL', leases_key, unpack(expired, first, min(#expired, first + PORTION - 1)))
  end
  call('HSET', leases_key, 'total', total, 'next', now + 1)
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
local function recount_lease(leases_key, now, before, after)
  if before == after then
    return
  end
  if before and call('HINCRBY', leases_key, before, -1) == 0 then
    call('HDEL', leases_key, before)
  end
  if after and call('HINCRBY', leases_key, after, 1) == 1 then
    -- The first lease of a second sees to the others, so that the next ones need not.
    if call('HSETNX', leases_key, 'next', now + 1) == 0 then
      count_leases(leases_key, now)
    end
    if call('EXPIRETIME', leases_key) < after then
      call('EXPIREAT', leases_key, after)
    end
  end
  if not before or not after then
    call('HINCRBY', leases_key, 'total', after and 1 or -1)
  end
end

-- Remembers when a lease that a call ended was first leased: until it would have expired, one that is
-- made again does not begin anew. One that does expire does, since all others could have had its spaces.
local function remember_age(age_key, lease)
  call('SET', age_key, lease.first, 'EXAT', lease.expires)
end

-- Returns when an Order UUID without a live lease was first leased: now, if nothing is remembered, or
-- its maximum hold is over. `lease` is one whose Opportunities were all withdrawn, or nil.
local function first_leased(age_key, lease, now, maximum_hold)
  local first = lease and lease.first or tonumber(call('GET', age_key) or now)
  return first + maximum_hold > now and first or now
end
