-- Who may have how many spaces (contract, rules 1–4, 7 and 28). Every check of capacity, at every step, is
-- the one below; an Opportunity and the pools that it draws on are resources alike.
local RESERVED, INSUFFICIENT, FULL, CONFLICT, UNKNOWN, OTHERS_OFFER, OTHER_CURRENCY = 1, 2, 3, 4, 5, 6, 7

-- Gives every OrderItem of a group its offer as the lease writes it, and its price: the guaranteed
-- one, oldest guarantee first, or today's (rules 4 and 13). A guarantee outlasts the sale of its offer.
-- Returns whether an offer is none of the Opportunity's: such an OrderItem `is_refused`, it counts for nothing.
local function price_items(group)
  local guaranteed, offers, any_unknown = {}, group.offers, false
  for _, row in ipairs(group.rows) do
    local queue = guaranteed[row[2]] or { taken = 0 }
    guaranteed[row[2]] = queue
    queue[#queue + 1] = row[3]
  end
  for _, item in ipairs(group.items) do
    local offer = offers[item.offer]
    item.row_offer = offer and offer.name or item.offer
    item.price = offer and offer.price or ''
    local queue = guaranteed[item.row_offer]
    if queue and queue.taken < #queue then
      queue.taken = queue.taken + 1
      item.is_held = true
      item.price = queue[queue.taken] ~= '' and queue[queue.taken] or item.price
    elseif group.type == POOL or group.offers_known and not (offer and offer.on_sale) then
      item.is_refused, item.error, any_unknown = true, UNKNOWN, true
    end
    group.wanted = group.wanted + (item.is_refused and 0 or 1)
  end
  return any_unknown
end

-- Tells the offers that another Opportunity of the basket has from those that nobody knows (rule 4).
local function find_others_offers(groups)
  local on_sale = {}
  for _, group in ipairs(groups) do
    for name, offer in pairs(group.offers) do
      on_sale[name] = on_sale[name] or offer.on_sale
    end
  end
  for _, group in ipairs(groups) do
    for _, item in ipairs(group.items) do
      if item.error == UNKNOWN and on_sale[item.offer] then
        item.error = OTHERS_OFFER
      end
    end
  end
end

-- Returns whether the prices of the groups are in several currencies.
local function has_currencies(groups)
  local first = nil
  for _, group in ipairs(groups) do
    for _, item in ipairs(group.known and group.items or {}) do
      local currency = string.match(item.price, '%a+$')
      first = first or currency
      if currency and currency ~= first then
        return true
      end
    end
  end
  return false
end

-- Refuses the OrderItems whose price is in another currency than the first one's, by position (rule 18).
-- What the Order holds it keeps, but cannot book beside the others.
local function refuse_currencies(groups)
  local first, expected = math.huge, nil
  for _, group in ipairs(groups) do
    for _, item in ipairs(group.known and group.items or {}) do
      item.currency = string.match(item.price, '%a+$')
      if item.currency and tonumber(item.position) < first then
        first, expected = tonumber(item.position), item.currency
      end
    end
  end
  for _, group in ipairs(groups) do
    for _, item in ipairs(group.items) do
      if item.currency and item.currency ~= expected then
        item.error, item.limit = OTHER_CURRENCY, { id = expected }
        item.is_refused = not item.is_held
        group.wanted = group.wanted - (item.is_refused and 1 or 0)
      end
    end
  end
end

-- Finds what this Order may have of an Opportunity by rule 1 (`available`). Returns as `price_items` does.
local function open_resource(group, lease)
  if not group.known then
    return false
  end
  read_held(group, lease)
  group.room = group.capacity - group.booked
  group.others = group.leased - group.had
  group.available = max(0, group.room - group.others, min(group.had, group.room))
  return price_items(group)
end

-- Returns the resources of a group, itself first, as {resource, spaces of it that one space takes}.
local function resources_of(group, groups)
  local resources = { { group, 1 } }
  for index, pool in ipairs(group.pools) do
    resources[index + 1] = { groups[pool.ref], pool.spaces }
  end
  return resources
end

-- Judges one OrderItem against every resource that it draws on. What the Order holds already and
-- asks for again (`kept`) counts before everything new, so that nothing which is kept is given away.
-- Of several resources that are short, the one that waiting helps least is the one named.
local function judge(item, group, limit)
  group.rank = group.rank + 1
  local is_kept = group.rank <= min(group.had, group.wanted)
  local reserved, error, limiting = {}, nil, nil
  for _, resource in ipairs(group.resources) do
    local of, spaces = resource[1], resource[2]
    local room = of.known and of.room or 0
    local available = of.known and of.available or 0
    local fits
    if is_kept then
      of.quoted = of.quoted + spaces
      fits = of.quoted <= available
    else
      of.demand = of.demand + spaces
      fits = of.taken + spaces <= available
    end
    local demand = is_kept and of.quoted or of.demand
    group.is_lacking = group.is_lacking or demand > available
    if not fits then
      local code = INSUFFICIENT
      if room <= 0 then
        code = FULL
      elseif demand <= available + of.others then
        code = RESERVED
        reserved[#reserved + 1] = { of, demand }
      end
      if not error or code > error then
        error, limiting = code, of
      end
    end
  end
  if group.rank > limit and error ~= FULL then
    error, limiting = CONFLICT, nil
  end
  -- Waiting mends nothing where its offer is refused.
  if not item.error then
    item.error, item.limit = error, limiting
  end
  if error then
    group.short = true
    for _, short in ipairs(item.error == RESERVED and reserved or {}) do
      short[1].reserved = max(short[1].reserved or 0, short[2])
    end
    return
  end
  group.fitting = group.fitting + 1
  if not is_kept then
    group.used = group.used + 1
    for _, resource in ipairs(group.resources) do
      resource[1].taken = resource[1].taken + resource[2]
    end
  end
end

-- Returns the OrderItems that are still to be judged, in order of position (rule 28: the whole basket
-- is counted together).
local function in_order(groups)
  local items = {}
  for _, group in ipairs(groups) do
    for _, item in ipairs(group.known and not group.fits and group.items or {}) do
      if not item.is_refused then
        items[#items + 1] = { item, group, tonumber(item.position) }
      end
    end
  end
  table.sort(items, function(one, other)
    return one[3] < other[3]
  end)
  return items
end

-- Gives a group that draws on no pool all that it wants, if that is to be had: nothing else in the
-- basket can stand against it. Returns whether it did.
local function fits_alone(group, limit)
  if not group.known or group.pools[1] or group.wanted > min(group.available, limit) then
    return false
  end
  group.taken = group.wanted
  return true
end

-- Judges every OrderItem of the groups that do not fit alone, with the pools that they draw on.
local function judge_all(groups, limit)
  for _, group in ipairs(groups) do
    group.rank, group.fitting, group.used, group.demand, group.quoted = 0, 0, 0, 0, 0
  end
  for _, group in ipairs(groups) do
    if not group.fits then
      group.keep = min(group.had, group.wanted)
      group.used, group.resources = group.keep, resources_of(group, groups)
      for _, resource in ipairs(group.resources) do
        resource[1].taken = resource[1].taken + group.keep * resource[2]
        resource[1].demand = resource[1].taken
      end
    end
  end
  for _, entry in ipairs(in_order(groups)) do
    judge(entry[1], entry[2], limit)
  end
end

-- Finds what the Order may have of every Opportunity, and what it keeps of each (rules 2 and 3).
-- `limit` is the most spaces per Order and Opportunity. Returns how many OrderItems have an error, and whether
-- spaces are lacking for any (rule 16).
local function assess(groups, lease, limit)
  local any_unknown = false
  for _, group in ipairs(groups) do
    any_unknown = open_resource(group, lease) or any_unknown
  end
  if any_unknown then
    find_others_offers(groups)
  end
  if has_currencies(groups) then
    refuse_currencies(groups)
  end
  local all_fit = true
  for _, group in ipairs(groups) do
    group.fits = fits_alone(group, limit)
    all_fit = all_fit and group.fits
  end
  if not all_fit then
    judge_all(groups, limit)
  end
  local errors, is_lacking = 0, false
  for _, group in ipairs(groups) do
    for _, item in ipairs(group.items) do
      errors = errors + ((item.error or not group.known) and 1 or 0)
    end
    is_lacking = is_lacking or group.is_lacking
    if not group.short then
      group.keep = group.wanted
    end
  end
  return errors, is_lacking
end

-- Holds that this run has looked at for the instants of rule 6, and the most that it may: some 5 ms.
local searched, MOST_SEARCHED = 0, 10 * PORTION

-- Returns the instant (seconds) from which a resource has room for all that competing leases stand
-- against, if none is extended or booked (rule 6); where it never will, when the last of them expires.
-- Likewise where the run has looked at as many holds as it may: then nothing is held any more.
local function reserved_until(group, holder, now)
  local need = group.reserved - (group.room - group.others)
  local freed, start, last = 0, 0, now
  while searched < MOST_SEARCHED do
    -- Each hold frees one space at least, so that no more of them have to be read than are needed, and one's own.
    local stop = start + min(need - freed, PORTION - 1)
    local page = call('ZRANGE', group.holds_key, start, stop, 'WITHSCORES')
    for index = 1, #page, 2 do
      -- One's own may have been written anew by this very call, with other spaces and of another kind.
      local spaces, whose = string.match(page[index], '^(%d+)%a(.*)$')
      if whose ~= holder then
        freed, last = freed + tonumber(spaces or 0), page[index + 1]
        if freed >= need then
          return tonumber(last)
        end
      end
    end
    if start + #page / 2 <= stop then
      return tonumber(last)
    end
    searched, start = searched + #page / 2, stop + 1
  end
  local latest = call('ZREVRANGE', group.holds_key, 0, 1, 'WITHSCORES')
  local is_own = string.match(latest[1] or '', '^%d+%a(.*)$') == holder
  return tonumber(latest[is_own and 4 or 2] or now)
end

-- Returns that instant for everything that a group draws on; each resource is searched once.
local function all_reserved_until(group, holder, now)
  local last = now
  for _, resource in ipairs(group.resources) do
    local of = resource[1]
    if of.reserved then
      of.reserved_until = of.reserved_until or reserved_until(of, holder, now)
      last = max(last, of.reserved_until)
    end
  end
  return last
end

-- Returns what is left of an Opportunity for this Order beside the rest of its basket: rule 1's *A*. What the
-- rest keeps counts as a whole, also where a pool has no room for all of it; what fits is to be had all the same.
local function remaining(group)
  if group.fits then
    return group.available
  end
  local least = group.available
  for index = 2, #group.resources do
    local pool, spaces = group.resources[index][1], group.resources[index][2]
    local free = (pool.known and pool.available or 0) - (pool.taken - group.used * spaces)
    least = min(least, floor(free / spaces))
  end
  return max(group.fitting, least)
end

-- Returns what is wrong with every OrderItem of a group: 0, or {code, spaces that others hold, until
-- seconds, id of the pool or the Order's currency or ''}.
local function errors_of(group, holder, now)
  local errors, all_until = {}, nil
  for number, item in ipairs(group.items) do
    errors[number] = 0
    if item.error then
      local limit = item.limit or group
      if item.error == RESERVED then
        all_until = all_until or all_reserved_until(group, holder, now)
      end
      local untils = item.error == RESERVED and all_until or 0
      errors[number] = { item.error, limit.others or 0, untils, limit ~= group and (limit.id or '') or '' }
    end
  end
  return errors
end

-- Returns what the caller is told about every group: {type, remaining, errors, price…}; '' instead of
-- all that for what is not registered. `errors` is as `errors_of` has them, or 0 where there is none.
local function describe(groups, holder, now)
  local answers = {}
  for index, group in ipairs(groups) do
    if group.known and group.type ~= POOL then
      local answer = { group.type, remaining(group), 0 }
      for number, item in ipairs(group.items) do
        answer[number + 3] = item.price
        group.short = group.short or item.error ~= nil
      end
      if group.short then
        answer[3] = errors_of(group, holder, now)
      end
      answers[index] = answer
    else
      answers[index] = { '' }
    end
  end
  return answers
end
