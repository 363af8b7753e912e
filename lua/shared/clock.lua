-- The only clock is Redis's (contract, rule 11).
local call, min, max, floor = redis.call, math.min, math.max, math.floor

local WEEK_SECONDS = 7 * 24 * 60 * 60

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

-- Returns a stored whole number: seconds, spaces, a count. It fails where there is none, or one beyond what Redis
-- adds to and expires at, so that a script which reads before it writes leaves no half of a change.
local function whole(text)
  local number = #text < 16 and tonumber(string.match(text, '^%-?%d+$'))
  assert(number, 'a stored number cannot be read')
  return number
end

-- `unpack` fails near 8,000 values: a list of any length goes to Redis so many at a time, and comes
-- from it so.
local PORTION = 1000

-- Sends a command with a key and a list of any length, in portions; pairs stay together.
local function call_in_portions(command, key, list)
  for first = 1, #list, PORTION do
    call(command, key, unpack(list, first, min(#list, first + PORTION - 1)))
  end
end

-- Returns a hash as a table.
local function read_hash(key)
  local flat, fields = call('HGETALL', key), {}
  for index = 1, #flat, 2 do
    fields[flat[index]] = flat[index + 1]
  end
  return fields
end
