--[[
Reconcile: holds one lease against the hold indices, and makes these say what the lease says.

USES clock, opportunity, lease
KEYS
  [1] lease        string  the lease of an Order UUID
  [2] due          zset    Opportunities by when the sweeper has something to do
  [3] feed         zset    Opportunities by `modified`
  [4…] opportunity, holds  a pair for every Opportunity of the lease, and wherever it was seen to hold
ARGV
  [1] holder       text    the name of this Order UUID in keys
  [2] mend         flag    1: write what is right
  [3] seen         count   of members of hold indices that are this Order's
  [4…] for every one of these: ref text, member text; then for every pair: ref text, count (0)
REPLY
  {1, {check, ref or '', found, right}…}  what is wrong, or was
  {0, refs…}       the keys of these Opportunities are needed too; nothing was changed
RETRY
  Run again, it finds right what it wrote.
]]
local lease_key, due_key, feed_key = KEYS[1], KEYS[2], KEYS[3]
local holder, mend, seen = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])

local now, microseconds = clock()
local removed_at = call('EXPIRETIME', lease_key)
local first, lasts = string.match(call('GET', lease_key) or '', '^%d (%d+) (%d+) ')
local expires = first and first + lasts
local is_live = expires and expires > now
local lease = is_live and read_lease(lease_key, now) or nil
local groups = read_groups(4, 4 + seen * 2)
local missing = read_opportunities(groups, lease and lease.lines)
if missing then
  return missing
end

for _, group in ipairs(groups) do
  assert_totals(group)
  read_held(group, lease)
end

local NO_KEY = -2
local wrong = {}
local function is_wrong(check, ref, found, right)
  wrong[#wrong + 1] = { check, ref, tostring(found or ''), tostring(right or '') }
end
-- Returns a hold for a person to read; whose it is has been said.
local function readable(member, until_seconds)
  return (string.match(member, '^%d+%a') or member) .. ' until ' .. until_seconds
end
if removed_at ~= NO_KEY and removed_at ~= expires then
  is_wrong('expiry', '', removed_at, expires)
  if mend and is_live then
    call('EXPIREAT', lease_key, expires)
  elseif mend then
    call('DEL', lease_key)
  end
end

local rightful = {}
for _, group in ipairs(groups) do
  if group.known then
    local spaces = group.had
    -- For `hold` this Order has nothing of it yet: what it finds it does not count again.
    group.had = 0
    if spaces > 0 then
      local member = spaces .. (group.had_kind or '') .. holder
      rightful[group.ref] = member
      local found = call('ZSCORE', group.holds_key, member)
      if tonumber(found or nil) ~= lease.expires then
        is_wrong('hold', group.ref, found and readable(member, found), readable(member, lease.expires))
        if mend then
          hold(group, holder, spaces, lease.step, lease.expires, due_key)
        end
      end
    end
  end
end
for index = 4, 3 + seen * 2, 2 do
  local group, member = groups[ARGV[index]], ARGV[index + 1]
  local until_seconds = tonumber(call('ZSCORE', group.holds_key, member) or nil)
  if group.known and member ~= rightful[group.ref] and until_seconds and until_seconds > now then
    is_wrong('hold', group.ref, readable(member, until_seconds), nil)
    if mend then
      local spaces, kind = string.match(member, '^(%d+)(%a)')
      call('ZREM', group.holds_key, member)
      count_leased(group, kind, -tonumber(spaces or 0))
      write_totals(group)
      group.moved = true
    end
  end
end
move_in_feed(feed_key, groups, now, microseconds)
return { 1, unpack(wrong) }
