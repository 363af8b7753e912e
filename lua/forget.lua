--[[
Forget: takes offers out of an Opportunity that are no longer on sale, and that no lease was promised.

USES clock
KEYS
  [1] opportunity  hash    the Opportunity
ARGV
  [1] returned     count   of its offers that came back on sale, when it was found out what no lease needs
  [2…] for every offer: text @id
REPLY
  how many were taken out; 0 as well where an offer came back meanwhile, as it may have been leased again
RETRY
  Run again, it finds none of them.
]]
local opportunity_key, returned = KEYS[1], ARGV[1]

if (call('HGET', opportunity_key, 'returned') or '0') ~= returned then
  return 0
end
local gone = {}
for index = 2, #ARGV do
  local field = 'offer:' .. ARGV[index]
  local value = call('HGET', opportunity_key, field)
  if value and not string.find(value, '\t', 1, true) then
    gone[#gone + 1] = field
  end
end
call_in_portions('HDEL', opportunity_key, gone)
return #gone
