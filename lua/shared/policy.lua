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
    -- What is longer is no policy, and Redis would not let a lease expire so late, half of which is written by then.
    local text = values[index] or ''
    values[index] = #text < 13 and tonumber(string.match(text, '^%d+$')) or default
  end
  return unpack(values)
end

-- Seconds that one run looks at; where they are so many times the fields of the hash, it reads the hash instead.
local MOST_SECONDS, MANY_TIMES = 5 * PORTION, 100

-- Returns how many leases expire at each second from one to another, and the last second that it looked at: all
-- of them, or as many as one run may.
local function read_counts(leases_key, first, last)
  local counts = {}
  if last - first >= MOST_SECONDS and call('HLEN', leases_key) * MANY_TIMES <= last - first then
    for name, count in pairs(read_hash(leases_key)) do
      local second = tonumber(name)
      if second and second <= last then
        counts[second] = tonumber(count)
      end
    end
    return counts, last
  end
  last = min(last, first + MOST_SECONDS - 1)
  local seconds = {}
  for second = first, last do
    seconds[#seconds + 1] = second
  end
  for index, count in ipairs(call('HMGET', leases_key, unpack(seconds))) do
    counts[first + index - 1] = tonumber(count or nil)
  end
  return counts, last
end

-- Counts out what has expired, once a second. Returns the count of a Booking Partner's live leases; nil where
-- one run is too short for all that has.
local function count_leases(leases_key, now)
  local values = call('HMGET', leases_key, 'total', 'next')
  local total, next_second = tonumber(values[1] or 0), tonumber(values[2] or nil)
  if not next_second or next_second == now + 1 then
    return total
  end
  local expired, last = {}, now
  if next_second <= now then
    local counts
    counts, last = read_counts(leases_key, next_second, now)
    for second, count in pairs(counts) do
      total = total - count
      expired[#expired + 1] = second
    end
  end
  call_in_portions('HDEL', leases_key, expired)
  -- Where the clock was set back, the next second is one that was counted out before.
  call('HSET', leases_key, 'total', total, 'next', last + 1)
  return last == now and total or nil
end

-- Returns the first second at which one of the live leases expires, or, where it is not among those that one run
-- looks at, a second before.
local function first_expiry(leases_key, now)
  local first
  for _, seconds in ipairs({ PORTION, WEEK_SECONDS }) do
    local counts, last = read_counts(leases_key, now + 1, now + seconds)
    first = last
    for second, count in pairs(counts) do
      if second > now and count > 0 then
        first = min(first, second)
      end
    end
    if first < last then
      return first
    end
  end
  return first
end

-- Returns the reply to a Booking Partner that may have no lease more than its most (rule 14): a refusal, or the
-- demand for the same call again; nil where it may.
local function refuse_lease(leases_key, most, now)
  if most == math.huge then
    return nil
  end
  local count = count_leases(leases_key, now)
  if not count then
    return { 0 }
  end
  return count >= most and { -3, first_expiry(leases_key, now) - now } or nil
end

-- Moves a lease between the seconds of the counts; nil is no lease.
local function move_count(leases_key, now, before, after)
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

-- Moves a lease from the second at which it was to expire to another; nil is no lease. The lease is written by
-- then, and stands though its count cannot be read: `verify` says so.
local function recount_lease(leases_key, now, before, after)
  pcall(move_count, leases_key, now, before, after)
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
