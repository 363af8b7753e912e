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
-- What is no number fails here, before the first write.
local counts, left = read_hash(leases_key), {}
local total = whole(counts.total or '0')
-- It stays for a while though nothing may be left to count, so that what is sent again finds it mended.
local last = now + 60
for index = 3, #ARGV, 2 do
  local second, too_many = ARGV[index], tonumber(ARGV[index + 1])
  left[second] = whole(counts[second] or '0') - too_many
  surplus, last = surplus + too_many + min(0, left[second]), max(last, whole(second))
end
for second, count in pairs(left) do
  if count > 0 then
    call('HSET', leases_key, second, count)
  else
    call('HDEL', leases_key, second)
  end
end
call('HSET', leases_key, 'total', total - surplus, 'mended', instant(now, microseconds))
call('HSETNX', leases_key, 'next', now + 1)
call('EXPIREAT', leases_key, max(last, call('EXPIRETIME', leases_key)))
return { 1 }
