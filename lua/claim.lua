--[[
Claim: become or stay the one that sends the webhooks, and keep how far they were delivered.

USES clock
KEYS
  [1] webhook            hash    holder, until in milliseconds, and the position: modified, id
ARGV
  [1] holder             text    who asks
  [2] hold_milliseconds          for how long from now, twice that at most; 0 gives the turn back
  [3] modified           version of the last entry that was delivered; empty: none was
  [4] id                 text    of that entry
REPLY
  {1, modified, id}      it is the caller's turn, and the position; modified is empty at the start
  {0}                    it is another's turn, and nothing was changed
RETRY
  The holder is known again: run again, it writes the same position.
]]
local webhook_key = KEYS[1]
local holder, hold_milliseconds, modified, id = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

local seconds, microseconds = clock()
local now = seconds * 1000 + floor(microseconds / 1000)
local kept = call('HMGET', webhook_key, 'holder', 'until', 'modified', 'id')
local is_holder, ends = kept[1] == holder, tonumber(kept[2] or 0)
local has_delivered = modified ~= ''
-- Whoever lost the turn may not move the position back, even when nobody has it now.
if not is_holder and (has_delivered or ends > now) then
  return { 0 }
end
local fields = {}
-- An idle sender asks every second, and need not write as often.
if not is_holder or hold_milliseconds == 0 or ends < now + hold_milliseconds then
  fields = { 'holder', holder, 'until', digits(now + 2 * hold_milliseconds) }
end
if has_delivered then
  kept[3], kept[4] = modified, id
  fields[#fields + 1] = 'modified'
  fields[#fields + 1] = modified
  fields[#fields + 1] = 'id'
  fields[#fields + 1] = id
end
if #fields > 0 then
  call('HSET', webhook_key, unpack(fields))
end
return { 1, kept[3] or '', kept[4] or '' }
