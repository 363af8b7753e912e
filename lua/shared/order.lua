--[[
An Order, or an OrderProposal, is a hash: state (proposed, booked, deleted), status (of a proposal, also once it
is booked), digest, at (microseconds since 1970: when what it books last changed; an earlier release wrote
seconds), gross (1: its prices are what is paid, taxes and all; absent: an earlier release did not say), and for every
Opportunity a line "<type>\t<id>\t<pools>", with pools as its own hash has them, and lines of
"<position>\t<offer>\t<price>\t<item>\t<status>"; an empty status is confirmed.
]]
local ORDER_FIELDS = { state = true, status = true, digest = true, at = true, gross = true }

-- Returns an Order as its hash has it; `lines` is by Opportunity.
local function read_order(order_key)
  local order = { lines = {} }
  for name, value in pairs(read_hash(order_key)) do
    if ORDER_FIELDS[name] then
      order[name] = value
    else
      order.lines[name] = value
    end
  end
  return order
end

-- Writes again what an earlier call wrote. WAIT and WAITAOF cover what their own connection wrote,
-- and the answer that was not confirmed may have come over another one (contract, rule 21).
local function write_again(order_key, order)
  call('HSET', order_key, 'state', order.state)
end

-- Returns what an Order's hash keeps of a group.
local function order_line(group)
  local lines = { group.type .. '\t' .. group.id .. '\t' .. group.pools_text }
  for _, item in ipairs(group.items) do
    lines[#lines + 1] = table.concat({ item.position, item.offer, item.price, item.id, '' }, '\t')
  end
  return table.concat(lines, '\n')
end

-- Returns a line of an Order as its head, its pools {ref, spaces}, and its rows
-- {position, offer, price, item, status}.
local function read_order_line(line)
  local kind, id, pools_text, text = string.match(line, '^([^\t\n]*)\t([^\t\n]*)\t([^\t\n]*)(.*)$')
  local head, pools, rows = kind .. '\t' .. id .. '\t' .. pools_text, read_pools(pools_text), {}
  for position, offer, price, item, status in
    string.gmatch(text, '\n([^\t\n]*)\t([^\t\n]*)\t([^\t\n]*)\t([^\t\n]*)\t([^\t\n]*)')
  do
    rows[#rows + 1] = { position, offer, price, item, status }
  end
  return head, pools, rows
end

-- Returns the names of all Opportunities and pools of an Order's lines, as keys of a table.
local function refs_of(lines)
  local refs = {}
  for ref, line in pairs(lines) do
    refs[ref] = true
    local _, pools = read_order_line(line)
    for _, pool in ipairs(pools) do
      refs[pool.ref] = true
    end
  end
  return refs
end

-- Adds `spaces` of an Opportunity, with what they take of its pools, to what is booked; fewer than
-- none are given back.
local function count_booked(groups, group, pools, spaces)
  call('HINCRBY', group.key, 'booked', spaces)
  group.moved = group.known
  for _, pool in ipairs(pools) do
    call('HINCRBY', groups[pool.ref].key, 'booked', spaces * pool.spaces)
    groups[pool.ref].moved = groups[pool.ref].known
  end
end

-- Adds a decimal amount to a sum of whole units and millionths: exact beyond what a double is. An earlier
-- release stored a price as it came, and 0 with a sign.
local function add_amount(sum, amount)
  local whole, fraction = string.match(amount, '^%-?(%d+)%.?(%d*)')
  sum[1] = sum[1] + tonumber(whole)
  sum[2] = sum[2] + tonumber(string.sub(fraction .. '000000', 1, 6))
  sum[1], sum[2] = sum[1] + floor(sum[2] / 1000000), sum[2] % 1000000
end

-- Returns the sum of all prices and its currency, written as a price is, where `totalPaymentDue` is not
-- that (rule 18); nil where it is, or there is no telling. The prices are in one currency by now.
local function mismatched_total(groups, total, is_gross)
  if total == '' or not is_gross then
    return nil
  end
  local sum, currency = { 0, 0 }, nil
  for _, group in ipairs(groups) do
    for _, item in ipairs(group.items) do
      if item.price == '' then
        return nil
      end
      add_amount(sum, item.price)
      currency = currency or string.match(item.price, '%a+$')
    end
  end
  local due, due_currency = { 0, 0 }, string.match(total, '%a+$')
  if string.match(total, '^%d') then
    add_amount(due, total)
  else
    due = sum
  end
  if sum[1] == due[1] and sum[2] == due[2] and (not currency or not due_currency or currency == due_currency) then
    return nil
  end
  return digits(sum[1]) .. '.' .. string.format('%06d', sum[2]) .. ' ' .. (currency or '')
end

-- Returns the OrderItems of a proposal's line, for B to book.
local function proposed_items(line)
  local items = {}
  if line then
    local _, _, rows = read_order_line(line)
    for index, row in ipairs(rows) do
      items[index] = { position = row[1], offer = row[2], id = row[4] }
    end
  end
  return items
end
