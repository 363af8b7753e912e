-- The only clock is Redis's (contract, rule 11).
local call, min, max, floor = redis.call, math.min, math.max, math.floor

-- Returns whole seconds since 1970, and the microseconds beyond them.
local function clock()
  local time = call('TIME')
  return tonumber(time[1]), tonumber(time[2])
end

-- Lua writes a number of 15 digits or more as 1.7952e+15.
local function digits(number)
  return string.format('%.0f', number)
end

-- Returns an instant in microseconds since 1970, to be stored.
local function instant(seconds, microseconds)
  return digits(seconds * 1000000 + microseconds)
end

-- Returns a hash as a table.
local function read_hash(key)
  local flat, fields = call('HGETALL', key), {}
  for index = 1, #flat, 2 do
    fields[flat[index]] = flat[index + 1]
  end
  return fields
end
