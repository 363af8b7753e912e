--[[
An Opportunity, or a capacity pool, is one hash, without `capacity` while it is not registered:
  id, type, seller     as registered; `seller` is the name of the Seller in its own key
  capacity, booked, leased   spaces; `leased` is the sum over the hold index, expired ones included until settled
  before               spaces of `booked` that no Order accounts for; absent: an earlier release registered it
  allowed              spaces: the most that its capacity ever was; absent: it never was more than now
  named, proposed      spaces: the parts of `leased` that named and proposal leases hold; absent: none does
  epoch                counts withdrawals: a lease of an earlier epoch holds nothing; absent: there was none
  next                 seconds; no hold expires before it (the score in `due`); absent or '': there is no hold
  mended               microseconds since 1970 when `booked` was last mended; absent: it never was
  modified             the front-end's own version of what it registered last: a whole number, or '=' and a text
  offers               how many offers are on sale; absent: offers are not known, any id will do
  offer:<id>           "<number>\t<price> <currency>"; without "\t": no longer on sale, but still leased
  returned             counts offers that came back on sale; absent: none ever did
  pools                "<ref>:<spaces>" for every pool that a space of it draws on, parted by blanks
  draws                on a pool: the refs of the Opportunities that draw on it, parted by blanks
The hold index is a sorted set: member "<spaces><kind><holder>", score the expiry in seconds; the kind is a for
an anonymous lease, n for a named one, p for a proposal's; the holder is the name of its Order in keys.
]]

-- The kinds of hold by the step of their lease, and where an Opportunity counts them.
local KINDS = { 'a', 'n', 'p' }
local COUNTS = { n = 'named', p = 'proposed' }

local POOL = 'CapacityPool'

-- The feed says for a week that an Opportunity is gone, as the RPDE standard asks.
local DELETED_SECONDS = WEEK_SECONDS

-- The code of a reply that tells how many leases lapsed, and then what the script answers.
local LAPSED = 9

-- More holds than these are not taken out one by one where all of them go.
local FEW = 100

-- Takes over what is leased of an Opportunity, and what tells of it; returns whether it is registered.
local function take_totals(group, capacity, leased, kind, next_second, named, proposed, draws)
  group.type, group.draws = kind, draws
  if not capacity then
    return false
  end
  group.known, group.capacity, group.leased = true, tonumber(capacity), tonumber(leased)
  group.next, group.named, group.proposed = tonumber(next_second or nil), tonumber(named or 0), tonumber(proposed or 0)
  return true
end

-- Reads no more of an Opportunity than what is leased of it.
local function read_totals(group)
  local fields = { 'capacity', 'leased', 'type', 'next', 'named', 'proposed', 'draws' }
  take_totals(group, unpack(call('HMGET', group.key, unpack(fields))))
end

-- Returns the pools of a text, as {ref, spaces}.
local function read_pools(text)
  local pools = {}
  for ref, spaces in string.gmatch(text, '(%S+):(%d+)') do
    pools[#pools + 1] = { ref = ref, spaces = whole(spaces) }
  end
  return pools
end

-- Fails where a total that is to change is no number: later it would leave half of a change.
local function assert_totals(group)
  if group.known then
    assert(group.leased and group.capacity and group.named and group.proposed, 'a total cannot be read')
  end
  whole(group.booked_text or '0')
end

-- Reads the hash of an Opportunity into `group`, with the offers that its OrderItems name.
local function read_opportunity(group)
  local names, column = {
    'capacity', 'leased', 'type', 'next', 'named', 'proposed', 'draws', 'booked', 'epoch', 'offers', 'id', 'pools',
  }, {}
  for _, item in ipairs(group.items) do
    if not column[item.offer] then
      names[#names + 1] = 'offer:' .. item.offer
      column[item.offer] = #names
    end
  end
  local values = call('HMGET', group.key, unpack(names))
  group.booked_text = values[8]
  if not take_totals(group, unpack(values, 1, 7)) then
    return
  end
  group.booked, group.epoch = tonumber(values[8]), values[9] or '0'
  group.offers_known, group.id = values[10], values[11]
  group.pools_text = values[12] or ''
  if values[12] then
    group.pools = read_pools(values[12])
  end
  for offer, index in pairs(column) do
    if values[index] then
      local number, tab, price = string.match(values[index], '^(%d+)(\t?)(.*)$')
      group.offers[offer] = { name = '#' .. number, price = price, on_sale = tab ~= '' }
    end
  end
end

-- Writes the totals of an Opportunity after a change of its holds, and those fields besides.
local function write_totals(group, ...)
  if not group.recounted then
    call('HSET', group.key, 'leased', group.leased, ...)
    return
  end
  local fields = { 'leased', group.leased, ... }
  for count in pairs(group.recounted) do
    fields[#fields + 1] = count
    fields[#fields + 1] = group[count]
  end
  call('HSET', group.key, unpack(fields))
  group.recounted = nil
end

-- Adds so many spaces of a kind to what is leased; fewer than none are taken away.
local function count_leased(group, kind, spaces)
  group.leased = group.leased + spaces
  local count = COUNTS[kind]
  if count then
    group[count] = group[count] + spaces
    group.recounted = group.recounted or {}
    group.recounted[count] = true
  end
end

-- Leases that this script found expired, and that no other script will find again: one that held
-- several Opportunities is found at each of them.
local lapsed = 0

-- Returns what a script answers, with the leases that lapsed where there are any.
local function told(reply)
  return lapsed > 0 and { LAPSED, lapsed, reply } or reply
end

-- Drops all holds of a hold index if the last of them has expired, very many as soon as a few;
-- returns how many, or nil.
local function drop_all(holds_key, now)
  if call('ZCOUNT', holds_key, now + 1, '+inf') > 0 then
    return nil
  end
  local dropped = call('ZREMRANGEBYRANK', holds_key, 0, FEW - 1)
  if dropped == FEW then
    dropped = dropped + call('ZCARD', holds_key)
    call('UNLINK', holds_key)
  end
  return dropped
end

-- Drops holds of an Opportunity that have expired, `most` of them; returns how many.
local function drop_expired(group, now, most)
  local dropped = 0
  repeat
    local portion = min(PORTION, most - dropped)
    local expired = call('ZRANGEBYSCORE', group.holds_key, '-inf', now, 'LIMIT', 0, portion)
    for _, member in ipairs(expired) do
      local spaces, kind = string.match(member, '^(%d+)(%a)')
      count_leased(group, kind, -tonumber(spaces or 0))
    end
    if #expired > 0 then
      call('ZREMRANGEBYRANK', group.holds_key, 0, #expired - 1)
    end
    dropped = dropped + #expired
  until #expired < portion or dropped == most
  return dropped
end

-- Drops the holds of an Opportunity that have expired, and corrects its totals (rule 12): all of
-- them at once where none is left, or `most` of them one by one. Returns how many went one by one;
-- `update_due` is to follow.
local function settle(group, now, most)
  if not group.next or group.next > now then
    return 0
  end
  assert_totals(group)
  local one_by_one = 0
  local dropped = drop_all(group.holds_key, now)
  if dropped then
    for kind, count in pairs(COUNTS) do
      if group[count] ~= 0 then
        count_leased(group, kind, -group[count])
      end
    end
    group.leased, group.next = 0, nil
  else
    dropped = drop_expired(group, now, most)
    one_by_one = dropped
    group.next = tonumber(call('ZRANGE', group.holds_key, 0, 0, 'WITHSCORES')[2])
  end
  lapsed = lapsed + (group.type ~= POOL and dropped or 0)
  write_totals(group, 'next', group.next or '')
  group.moved = dropped > 0
  return one_by_one
end

-- Brings the sweeper's list up to date with groups that were settled.
local function update_due(due_key, groups)
  local later, over = {}, {}
  for _, group in ipairs(groups) do
    if group.next then
      later[#later + 1] = group.next
      later[#later + 1] = group.ref
    else
      over[#over + 1] = group.ref
    end
  end
  call_in_portions('ZADD', due_key, later)
  call_in_portions('ZREM', due_key, over)
end

-- Moves Opportunities to the end of the capacity feed (rule 22): `modified` is the clock in
-- microseconds, strictly rising within a partition.
local function move_refs(feed_key, refs, seconds, microseconds)
  if #refs == 0 then
    return
  end
  local last = tonumber(call('ZREVRANGE', feed_key, 0, 0, 'WITHSCORES')[2] or 0)
  local modified = max(seconds * 1000000 + microseconds, last + 1)
  local moves = {}
  for index, ref in ipairs(refs) do
    -- As an argument, unlike in a text, Redis writes a number of 16 digits in full.
    moves[2 * index - 1] = modified + index - 1
    moves[2 * index] = ref
  end
  call_in_portions('ZADD', feed_key, moves)
end

-- Moves the Opportunities of the groups that changed what is free, and those that draw on a pool
-- that did, to the end of the capacity feed (rules 22 and 28).
local function move_in_feed(feed_key, groups, seconds, microseconds)
  local refs = {}
  for _, group in ipairs(groups) do
    if group.moved and group.type ~= POOL then
      refs[#refs + 1] = group.ref
    elseif group.moved then
      -- One that is named twice moves twice, and stands where it moved last.
      for ref in string.gmatch(group.draws or '', '%S+') do
        refs[#refs + 1] = ref
      end
    end
    group.moved = false
  end
  move_refs(feed_key, refs, seconds, microseconds)
end

-- Says on a pool that an Opportunity draws on it no more.
local function stop_drawing(pool, ref)
  local draws = {}
  for other in string.gmatch(pool.draws or '', '%S+') do
    if other ~= ref then
      draws[#draws + 1] = other
    end
  end
  call('HSET', pool.key, 'draws', table.concat(draws, ' '))
end
