--[[
Recount: mends the count of a Booking Partner's live leases (rule 14).

USES clock
KEYS
  [1] leases       hash    the live leases of this Booking Partner, by expiry
ARGV
  [1] seen         text    microseconds since 1970, when what is wrong was found
  [2…] for every second that is wrong: seconds since 1970, count of leases that it has too many
REPLY
  {1}              mended
  {2}              it was mended after that instant already; nothing was changed
RETRY
  Run again, it finds that it was mended.
]]
local leases_key = KEYS[1]
local seen = ARGV[1]

local now, microseconds = clock()
if tonumber(call('HGET', leases_key, 'mended') or 0) >= tonumber(seen) then
  return { 2 }
end
for index = 2, #ARGV, 2 do
  if call('HINCRBY', leases_key, ARGV[index], -tonumber(ARGV[index + 1])) <= 0 then
    call('HDEL', leases_key, ARGV[index])
  end
end
-- It stays for a while though nothing may be left to count, so that what is sent again finds it mended.
local total, last = 0, now + 60
for name, count in pairs(read_hash(leases_key)) do
  local second = tonumber(name)
  if second then
    total, last = total + tonumber(count), max(last, second)
  end
end
call('HSET', leases_key, 'total', total, 'next', now + 1, 'mended', instant(now, microseconds))
call('EXPIREAT', leases_key, max(last, call('EXPIRETIME', leases_key)))
return { 1 }
