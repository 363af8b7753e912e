--[[
Recount: mends the count of a Booking Partner's live leases (rule 14).

USES clock
KEYS
  [1] leases       hash    the live leases of this Booking Partner, by expiry
ARGV
  [1] seen         text    microseconds since 1970, when what is wrong was found
  [2] surplus      count   of leases that the total is above the sum of all seconds; fewer than none: below
  [3…] for every second that is wrong: seconds since 1970, count of leases that it has too many
REPLY
  {1}              mended
  {2}              it was mended after that instant already; nothing was changed
RETRY
  Run again, it finds that it was mended.
]]
local leases_key = KEYS[1]
local seen, surplus = ARGV[1], tonumber(ARGV[2])

local now, microseconds = clock()
if tonumber(call('HGET', leases_key, 'mended') or 0) >= tonumber(seen) then
  return { 2 }
end
-- It stays for a while though nothing may be left to count, so that what is sent again finds it mended.
local last = now + 60
for index = 3, #ARGV, 2 do
  local second, too_many = ARGV[index], tonumber(ARGV[index + 1])
  local left = call('HINCRBY', leases_key, second, -too_many)
  if left <= 0 then
    call('HDEL', leases_key, second)
  end
  surplus, last = surplus + too_many + min(0, left), max(last, tonumber(second))
end
call('HINCRBY', leases_key, 'total', -surplus)
call('HSET', leases_key, 'mended', instant(now, microseconds))
call('HSETNX', leases_key, 'next', now + 1)
call('EXPIREAT', leases_key, max(last, call('EXPIRETIME', leases_key)))
return { 1 }
