--[[
Audit: holds the totals of an Opportunity or a pool against its holds, its place in the lists and what the
Orders have booked, and mends them: what is wrong can be made again from what it is the total of.

USES clock, opportunity, lease
KEYS
  [1] due          zset    Opportunities by when the sweeper has something to do
  [2] feed         zset    Opportunities by `modified`
  [3…] opportunity, holds  a pair for the Opportunity, and for every pool that it draws on
ARGV
  [1] limit        count   of holds that are added up at most; 0: all
  [2] mend         flag    1: write what is right
  [3] seen         text    microseconds since 1970, when the next two were found; '' where they were not
  [4] surplus      spaces  that `booked` has too many; fewer than none: too few
  [5] before       spaces  that no Order accounts for, where that was not noted, or ''
  [6…] for every pair: ref text, count (0)
REPLY
  {1, now microseconds, holds, {name, value…}, {check, found, right}…}  the fields of the Opportunity that
                   tell what it is, and what is wrong, or was; with more holds than the limit they were not added up
  {0, refs…}       the keys of these pools are needed too; nothing was changed
RETRY
  Run again, it finds right what it wrote; `surplus` counts once, since what was mended later than `seen` stays.
]]
local due_key, feed_key = KEYS[1], KEYS[2]
local limit, mend, seen = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3]
local surplus, before = tonumber(ARGV[4]), ARGV[5]

local now, microseconds = clock()
local groups = read_groups(3, 6)
local missing = read_opportunities(groups)
if missing then
  return missing
end
local group = groups[1]
local holds = call('ZCARD', group.holds_key)
local fields = read_hash(group.key)
local wrong, set = {}, {}
local function is_wrong(check, found, right)
  wrong[#wrong + 1] = { check, tostring(found or ''), tostring(right) }
end

-- What is held is the sum of the holds, those that have expired and are not settled included.
local total = { leased = 0, named = 0, proposed = 0 }
local first = tonumber(call('ZRANGE', group.holds_key, 0, 0, 'WITHSCORES')[2] or nil)
if not group.known and holds > 0 then
  is_wrong('holds', holds, 0)
elseif limit > 0 and holds > limit then
  total = {}
else
  for start = 0, holds - 1, PORTION do
    for _, member in ipairs(call('ZRANGE', group.holds_key, start, start + PORTION - 1)) do
      local text, kind = string.match(member, '^(%d+)(%a)')
      local spaces = tonumber(text or 0)
      total.leased = total.leased + spaces
      if COUNTS[kind] then
        total[COUNTS[kind]] = total[COUNTS[kind]] + spaces
      end
    end
  end
end
for name, right in pairs(total) do
  if tonumber(fields[name] or 0) ~= right then
    is_wrong(name, fields[name], right)
    set[#set + 1] = name
    set[#set + 1] = right
    group.moved = group.moved or name == 'leased'
  end
end

-- The lists: when the sweeper has to look, and what readers of the feed are told.
local due = tonumber(call('ZSCORE', due_key, group.ref) or nil)
local due_right = nil
if group.known and holds > 0 then
  if not group.next or group.next > first then
    is_wrong('next', group.next, first)
    set[#set + 1] = 'next'
    set[#set + 1] = first
  end
  due_right = min(group.next or first, first)
end
local is_told = call('ZSCORE', feed_key, group.ref)
local may_be_told = group.type and group.type ~= POOL
if is_told and not may_be_told then
  is_wrong('feed', 'listed', 'not listed')
elseif group.known and may_be_told and not is_told then
  is_wrong('feed', '', 'listed')
  group.moved = true
elseif is_told and not group.known and not due then
  due_right = now + DELETED_SECONDS
end
if due_right and (not due or due > due_right) then
  is_wrong('due', due, due_right)
else
  due_right = nil
end
local undrawn = {}
for _, pool in ipairs(group.pools or {}) do
  local draws = ' ' .. (groups[pool.ref].draws or '') .. ' '
  if not string.find(draws, ' ' .. group.ref .. ' ', 1, true) then
    is_wrong('draws', '', pool.ref)
    undrawn[#undrawn + 1] = groups[pool.ref]
  end
end

-- A lowered capacity may be less than what is held and booked, but nothing is given out beyond what it is
-- (rule 8), and expired holds are settled first. What leases hold of a pool may be more, where an Opportunity
-- that was leased began to draw on it.
local booked = tonumber(fields.booked or 0)
local taken = booked + (group.type == POOL and 0 or total.leased or group.leased)
local allowed = fields.allowed or fields.capacity
if allowed and taken > tonumber(allowed) then
  is_wrong('allowed', taken, 'at most ' .. allowed)
end
local is_newer = seen ~= '' and tonumber(fields.mended or 0) < tonumber(seen)
if is_newer and surplus ~= 0 then
  is_wrong('booked', fields.booked, booked - surplus)
end

if mend then
  if not group.known and holds > 0 then
    call('UNLINK', group.holds_key)
  end
  if is_newer then
    set[#set + 1] = 'mended'
    set[#set + 1] = instant(now, microseconds)
    if surplus ~= 0 then
      set[#set + 1] = 'booked'
      set[#set + 1] = booked - surplus
      group.moved = true
    end
    if before ~= '' and not fields.before then
      set[#set + 1] = 'before'
      set[#set + 1] = before
    end
  end
  if #set > 0 then
    call('HSET', group.key, unpack(set))
  end
  if due_right then
    call('ZADD', due_key, due_right, group.ref)
  end
  for _, pool in ipairs(undrawn) do
    call('HSET', pool.key, 'draws', pool.draws and pool.draws ~= '' and pool.draws .. ' ' .. group.ref or group.ref)
  end
  if is_told and not may_be_told then
    call('ZREM', feed_key, group.ref)
  end
  group.moved = group.moved and group.known
  move_in_feed(feed_key, groups, now, microseconds)
end

local said = {}
for _, name in ipairs({ 'seller', 'id', 'capacity', 'booked', 'before', 'leased', 'named', 'proposed', 'epoch' }) do
  if fields[name] then
    said[#said + 1] = name
    said[#said + 1] = fields[name]
  end
end
return { 1, instant(now, microseconds), holds, said, unpack(wrong) }
