--[[
Sweep: drops what has expired of Opportunities that are due, and takes those that were withdrawn a
week ago out of the feed, and out of Redis where nothing is booked (rules 12 and 22): one bounded step.

USES clock, opportunity
KEYS
  [1] due          zset    Opportunities by when the sweeper has something to do
  [2] feed         zset    Opportunities by `modified`
  [3…] opportunity, holds  a pair for every Opportunity
ARGV
  [1…] for every pair: ref text
REPLY
  1                what one step is too short for is still due
  {9, leases, reply}  this reply, and how many leases were found to have lapsed
RETRY
  Run again, it finds nothing due of what it has done.
]]
local due_key, feed_key = KEYS[1], KEYS[2]

-- Calls wait for the whole step: so many holds, taken out one by one, are enough for one.
local MOST_HOLDS = 250

local now, microseconds = clock()

-- Ends all holds of an Opportunity if the last of them has expired: most of what is due needs no
-- more than this, and reads no more. Returns how many, or nil where there is more to it.
local function end_all(key, holds_key)
  local next_text, kind, named, proposed = unpack(call('HMGET', key, 'next', 'type', 'named', 'proposed'))
  if next_text == '' then
    -- Another sweeper or a call was here first.
    return 0
  end
  local next_second = tonumber(next_text or nil)
  if kind == POOL or not next_second or next_second > now then
    return nil
  end
  local dropped = drop_all(holds_key, now)
  if dropped then
    lapsed = lapsed + dropped
    call('HSET', key, 'leased', 0, 'next', '')
    if named or proposed then
      call('HDEL', key, 'named', 'proposed')
    end
  end
  return dropped
end

-- What cannot be read keeps nothing else from being swept: it is looked at again later. `verify` says what it is.
local AGAIN_SECONDS = 60
local function put_off(ref)
  call('ZADD', due_key, now + AGAIN_SECONDS, ref)
end

local ended, moved, groups = {}, {}, {}
for index, ref in ipairs(ARGV) do
  local key, holds_key = KEYS[2 * index + 1], KEYS[2 * index + 2]
  local is_read, dropped = pcall(end_all, key, holds_key)
  if not is_read then
    put_off(ref)
  elseif not dropped then
    groups[#groups + 1] = { ref = ref, key = key, holds_key = holds_key }
  else
    ended[#ended + 1] = ref
    if dropped > 0 then
      moved[#moved + 1] = ref
    end
  end
end
call_in_portions('ZREM', due_key, ended)
move_refs(feed_key, moved, now, microseconds)

local budget, settled = MOST_HOLDS, {}
for _, group in ipairs(groups) do
  if budget > 0 then
    read_totals(group)
    if group.known then
      local is_read, one_by_one = pcall(settle, group, now, budget)
      if is_read then
        budget = budget - one_by_one
        -- It may have been listed for an expiry that is none any more.
        settled[#settled + 1] = group
      else
        put_off(group.ref)
      end
    elseif tonumber(call('ZSCORE', due_key, group.ref) or now + 1) <= now then
      call('ZREM', feed_key, group.ref)
      local booked, draws = unpack(call('HMGET', group.key, 'booked', 'draws'))
      if (draws or '') ~= '' then
        -- A pool, and Opportunities that will draw on it should it come back: another look in a week.
        call('ZADD', due_key, now + DELETED_SECONDS, group.ref)
      else
        call('ZREM', due_key, group.ref)
        if (booked or '0') == '0' then
          call('UNLINK', group.key)
        end
      end
    end
  end
end
update_due(due_key, settled)
move_in_feed(feed_key, settled, now, microseconds)
return told(1)
