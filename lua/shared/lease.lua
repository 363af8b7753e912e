--[[
A lease is a string that expires with it: "<step> <first> <lasts> <paid> <owner>", with first in seconds since 1970,
then how many seconds later it expires, and how many later a payment window ends that was given, or 0; the owner is
as C1, C2 and P pass it; then for every Opportunity "\f<ref> <epoch>" and lines of "\n<position>\t<offer>\t<price>",
where a registered offer is "#<number>"; and for every pool "\f<ref> <epoch>#<spaces>". Ids hold no control characters.
]]

-- Returns the OrderItems of the request, by Opportunity, from KEYS and ARGV at these indices.
local function read_groups(key_index, index)
  local groups = {}
  for pair = key_index, #KEYS, 2 do
    -- Lua makes room at once for what a constructor names, and anew each time that later fields need more.
    local group = {
      key = KEYS[pair], holds_key = KEYS[pair + 1], ref = ARGV[index],
      items = {}, offers = {}, pools = {}, rows = {},
      had = 0, wanted = 0, keep = 0, taken = 0, named = 0, proposed = 0,
      known = false, fits = false, moved = false,
    }
    for item = 1, tonumber(ARGV[index + 1]) do
      local at = index + 2 + (item - 1) * 3
      group.items[item] = { position = ARGV[at], offer = ARGV[at + 1], id = ARGV[at + 2], row_offer = '', price = '' }
    end
    index = index + 2 + #group.items * 3
    groups[#groups + 1] = group
    groups[group.ref] = group
  end
  return groups
end

-- Returns the live lease of an Order UUID, or nil; `lines` is by Opportunity. One that Redis has not
-- removed yet, though it expired, is taken away.
local function read_lease(lease_key, now)
  local text = call('GET', lease_key)
  if not text then
    return nil
  end
  local step, first, lasts, paid, owner = string.match(text, '^(%d) (%d+) (%d+) (%d+) ([^\f]+)')
  local lease = { step = tonumber(step), first = whole(first), owner = owner }
  lease.expires = lease.first + whole(lasts)
  if lease.expires <= now then
    call('DEL', lease_key)
    return nil
  end
  lease.paid = paid ~= '0' and first + paid or nil
  lease.lines = {}
  for ref, line in string.gmatch(text, '\f(%S+) ([^\f]*)') do
    lease.lines[ref] = line
  end
  return lease
end

-- Adds an Opportunity to those whose keys were not passed, unless they were.
local function need(groups, missing, ref)
  if not groups[ref] then
    groups[ref] = {}
    missing[#missing + 1] = ref
  end
end

-- Reads every Opportunity of the request, and what the lease and the pools name besides. Returns
-- the reply that asks for keys which were not passed, or nil; until then nothing is written.
local function read_opportunities(groups, lines)
  local missing = { 0 }
  for ref in pairs(lines or {}) do
    need(groups, missing, ref)
  end
  for _, group in ipairs(groups) do
    read_opportunity(group)
    for _, pool in ipairs(group.pools) do
      need(groups, missing, pool.ref)
    end
  end
  return missing[2] and missing or nil
end

-- Holds that one run takes out one by one: some 2 ms, for which all other calls wait.
local MOST_DROPPED = 2 * PORTION

-- Reads every Opportunity of the request, the lease and the pools, and drops what has expired of them. Returns
-- the reply to give instead: it asks for keys, or, where more has expired than one run drops, for the same call
-- again; nil where all is read and settled. Whatever becomes of the call, what lapsed is told by then.
local function open_opportunities(groups, lines, due_key, feed_key, now, microseconds)
  local missing = read_opportunities(groups, lines)
  if missing then
    return missing
  end
  for _, group in ipairs(groups) do
    assert_totals(group)
  end
  local settled, left = {}, MOST_DROPPED
  for _, group in ipairs(groups) do
    if group.next and group.next <= now and left > 0 then
      left = left - settle(group, now, left)
      settled[#settled + 1] = group
    end
  end
  if settled[1] then
    update_due(due_key, settled)
    move_in_feed(feed_key, settled, now, microseconds)
  end
  return left == 0 and told({ 0 }) or nil
end

-- Sets what the lease holds of an Opportunity: its rows {position, offer, price}, and its spaces.
local function read_held(group, lease)
  local line = lease and lease.lines[group.ref]
  if not line then
    return
  end
  local epoch, mark, text = string.match(line, '^(%d+)([\n#])(.*)$')
  if not epoch or epoch ~= group.epoch then
    return
  end
  if mark == '#' then
    group.had = whole(text)
  else
    for position, offer, price in string.gmatch(text, '([^\t\n]*)\t([^\t\n]*)\t([^\t\n]*)') do
      group.rows[#group.rows + 1] = { position, offer, price }
    end
    group.had = #group.rows
  end
  group.had_kind = KINDS[lease.step]
end

-- Makes this Order hold `spaces` of an Opportunity until `expires` (seconds), instead of what it
-- held; `step` is the lease's.
local function hold(group, holder, spaces, step, expires, due_key)
  local before, kind, changed = group.leased, KINDS[step], false
  local member = spaces > 0 and spaces .. (kind or '') .. holder
  local held = group.had > 0 and group.had .. (group.had_kind or '') .. holder
  if held and held ~= member and call('ZREM', group.holds_key, held) == 1 then
    count_leased(group, group.had_kind, -group.had)
    changed = true
  end
  if member and call('ZADD', group.holds_key, expires, member) == 1 then
    count_leased(group, kind, spaces)
    changed = true
  end
  if member and (not group.next or expires < group.next) then
    group.next = expires
    call('ZADD', due_key, expires, group.ref)
    write_totals(group, 'next', expires)
  elseif changed and group.leased == 0 and call('ZCARD', group.holds_key) == 0 then
    group.next = nil
    call('ZREM', due_key, group.ref)
    write_totals(group, 'next', '')
  elseif changed then
    write_totals(group)
  end
  group.moved = group.moved or group.leased ~= before
end

-- Sets how many spaces of every pool the groups keep, by what they keep themselves.
local function keep_of_pools(groups)
  for _, group in ipairs(groups) do
    for _, pool in ipairs(group.keep > 0 and group.pools or {}) do
      local resource = groups[pool.ref]
      if resource.known then
        resource.keep = resource.keep + group.keep * pool.spaces
      end
    end
  end
end

-- Adds what the lease says of a group that keeps spaces to the parts of its text: the OrderItems that it was
-- asked for, or, where not all can be had, those that it held.
local function add_line(parts, group)
  parts[#parts + 1] = '\f' .. group.ref .. ' ' .. group.epoch
  if group.type == POOL then
    parts[#parts + 1] = '#' .. group.keep
  elseif group.keep == group.wanted and not group.short then
    for _, item in ipairs(group.items) do
      if not item.is_refused then
        parts[#parts + 1] = '\n' .. item.position .. '\t' .. item.row_offer .. '\t' .. item.price
      end
    end
  else
    for index = 1, group.keep do
      parts[#parts + 1] = '\n' .. table.concat(group.rows[index], '\t')
    end
  end
end

-- Makes the lease what every group keeps: its text, its holds, its expiry. `fields` are step, first,
-- paid, owner and expires. Returns when it expires; nil where nothing is kept, and the lease is gone.
local function write_lease(lease_key, groups, holder, fields, due_key)
  local expires, first, paid = fields.expires, fields.first, fields.paid
  local parts = {}
  for _, group in ipairs(groups) do
    if group.known then
      hold(group, holder, group.keep, fields.step, expires, due_key)
    end
    if group.keep > 0 then
      add_line(parts, group)
    end
  end
  if #parts == 0 then
    call('DEL', lease_key)
    return nil
  end
  local head = fields.step .. ' ' .. first .. ' ' .. expires - first .. ' ' .. (paid and paid - first or 0)
  call('SET', lease_key, head .. ' ' .. fields.owner .. table.concat(parts), 'EXAT', expires)
  return expires
end

-- Ends a lease: everything that it held is given back.
local function end_lease(lease_key, groups, holder, due_key)
  for _, group in ipairs(groups) do
    group.keep = 0
  end
  write_lease(lease_key, groups, holder, { step = 0, expires = 0 }, due_key)
end

-- Returns whether a lease holds anything; nothing, where all its Opportunities were withdrawn.
local function holds_any(groups)
  for _, group in ipairs(groups) do
    if #group.rows > 0 then
      return true
    end
  end
  return false
end

-- Lets every group keep what the lease holds, and returns how many spaces of Opportunities that are.
local function keep_as_held(groups, lease)
  local spaces = 0
  for _, group in ipairs(groups) do
    read_held(group, lease)
    group.keep = group.had
    spaces = spaces + #group.rows
  end
  return spaces
end
