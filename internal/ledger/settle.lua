-- settle.lua writes the outcomes of a generation's recipients. It merges each outcome with the stored one:
-- unknown < rejected < accepted < delivered or undelivered. It does so even if the lease has ended, or if Redis lost
-- the claim.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of settleArgs:
--   token
--   batch
--   call
--   generation
--   call_size         recipients of the call
--   positions         packed positions of the generation's recipients, or '' for all
--   records           one [status][length][detail] for each position. Two statuses have a special meaning:
--        0  certainly refused for now: the recipient goes into the next generation
--        7  certainly refused for now: the recipient goes into a separate generation, which waits for patient_back_off
--   reason            reason of the settle:
--        'answer'   the gateway's own answer
--        'partial'  the gateway's answer, but its unknown recipients stay doubtful, and may be submitted again under the same uuid
--        'spared'   the gateway's answer, but its refusals for now concern the account or the campaign: they do not count
--                   as attempts
--        'verdict'  Tuma's own conclusion
--        'looked'   outcomes from the gateway's answer or from its list of messages. The worker looks up the remaining
--                   unknown recipients at the gateway after back_off
--        'abandon'  a doubtful generation that will not be submitted again
--   open_batch_limit
--   back_off          of the next generation, in ms
--   segments          segments of one message
--   accepted          number of accepted recipients in records
--   rejected          number of rejected recipients in records
--   unknown           number of unknown recipients in records
--   may_resend        0|1: 1 if recipients that become unknown for the first time wait in a new generation, and are
--                     submitted once more
--   patient_back_off  back-off of the recipients with status 7, in ms
--   lookups           number of earlier lookups ('looked'); -1: this is not a lookup
--   origin            for a late result, whose recipients have moved here from another batch: that batch's generation,
--                     "b.k.g"; else ''
--   origin_key        the uuid of that generation, or '-'
--   cost              cost of the accepted messages, in millionths, such as 'KES:1600000'. '': the gateway named no cost.
--                     '*': the costs have to be read from the records
-- Returns {'settled'|'forward', done 0|1, 'batch:wake'…} | {'superseded'|'lost'|'missing'|'newer'}
--   'forward'     settled, but an accepted recipient has moved: the result must also be applied to its new batch
--   'superseded'  the caller no longer has the claim; nothing changed
--   'lost'        recipients had moved to this batch, and Redis lost the move; nothing changed
-- Running it again changes nothing.
local bad = unfit()
if bad then return {bad} end
local token, batch, call, generation, call_size, positions, records, reason, open_batch_limit, back_off, segments,
  accepted, rejected, unknown, may_resend, patient_back_off, lookups, origin, origin_key, cost = unpack(ARGV)
local b, k, g, n = batch, call, generation, tonumber(call_size)
local basis, window, segs = reason, tonumber(open_batch_limit), tonumber(segments)
local now, wakes = now_ms(), {}

-- moved_here reports whether the name of a batch shows that recipients of other batches were moved there.
local function moved_here(b) return #string.match(b, '%.(%d+)$') > 12 end

-- foreign returns the number that this call uses for a generation of another batch. The recipients were in that
-- generation before they moved here. If the generation has no number yet, foreign assigns one.
local function foreign()
  local f = 'q' .. b .. '.' .. k
  local all = get(f) or ''
  for name, number in string.gmatch(all, '(%S+)=(%d+)') do
    if name == origin then return number end
  end
  local number = int(redis.call('HINCRBY', L, 'n' .. b .. '.' .. k, 1))
  set(f, all .. ' ' .. origin .. '=' .. number)
  save_gen(b, k, number, {'t', origin_key, int(now), half(token), '0'})
  return number
end

-- The function "spend" adds an amount, in millionths of a currency, to the cost of accepted messages. It counts only
-- the first currency that an account's gateway names.
local function spend(currency, amount)
  if amount == 0 then return end
  local f = lane and 'ccy:' .. lane or 'ccy'
  local known = get(f)
  if not known then set(f, currency) elseif known ~= currency then return end
  add('cost', amount)
end

-- cost_of returns the currency of the cost in a detail (record.go), and the cost in millionths of this currency. It
-- returns nil if the detail has no cost, or a cost that cost.go also ignores.
local function cost_of(detail)
  local amount, currency, pos = '', '', 3
  while pos < #detail do
    local tag, len = string.byte(detail, pos, pos + 1)
    local size = tag == 1 and 17 or 2 + len
    if tag == 5 then amount = string.sub(detail, pos + 2, pos + size - 1) end
    if tag == 6 then currency = string.sub(detail, pos + 2, pos + size - 1) end
    pos = pos + size
  end
  local whole, part = string.match(amount, '^(%d+)%.?(%d*)$')
  if not whole or #whole > 9 or #part > 6 or not string.match(currency, '^%u%u%u$') then return nil end
  return currency, tonumber(whole) * 1000000 + tonumber(part .. string.rep('0', 6 - #part))
end

local stopped, lim = unpack(redis.call('HMGET', L, 'stop', 'lim'))
local resend = may_resend == '1' and not stopped
local partial, spared, looked = basis == 'partial', basis == 'spared', basis == 'looked'
if partial or spared or looked then basis = 'answer' end
of_batch(b)
if origin ~= '' then
  local there, here = read_results(b, k, n), false
  for _, p in ipairs(unpack_members(positions)) do here = here or there[p + 1] ~= MOVED end
  if not here then return {'forward', get('fin') and '1' or '0'} end
  g = foreign()
elseif moved_here(b) and not get('b' .. b) then
  return {'lost'}
end
local rec = load_gen(b, k, g, n)
-- If the generation has no record, Redis has lost it. Its results are written, and its number is not assigned again.
local forgotten = not rec
if forgotten then
  rec = {'t', '-', int(now), half(token), '0'}
  save_gen(b, k, g, rec)
  if num('n' .. b .. '.' .. k) < tonumber(g) then set('n' .. b .. '.' .. k, g) end
end
local state = rec[STATE]
local mine = state == 's' and rec[TOKEN] == token
local forward, before = false, 0 -- forward: an accepted recipient is in another batch; before: the number of wakes from an earlier run

local function answer()
  finish(now)
  local out = {forward and 'forward' or 'settled', get('fin') and '1' or '0'}
  for _, x in ipairs(wakes) do out[#out + 1] = x end
  return out
end

local a, r, u = tonumber(accepted), tonumber(rejected), tonumber(unknown)
if mine and not partial and not looked and g == '0' and a + r + u == n and cost ~= '*' and not (resend and u > 0) and (rec[DOUBT] == '0' or r == 0)
  and redis.call('HEXISTS', L, result_field(b, k)) == 0 then
  set(result_field(b, k), records)
  add('pending', -n)
  add('fly', -n)
  add('accepted', a)
  add('rejected', r)
  add('unknown', u)
  add('seg', a * segs)
  local currency, amount = string.match(cost, '^(%u+):(%d+)$')
  if currency then spend(currency, tonumber(amount)) end
  if lim then judge(now) end
  close_gen(b, k, g, rec, now, window, wakes)
  return answer()
end

if state == 't' then
  if basis == 'abandon' and not forgotten and rec[T_BY] ~= half(token) then return {'superseded'} end
  told(rec, wakes)
  before = #wakes
elseif basis == 'abandon' then
  if state == 's' then return {'superseded'} end
elseif not mine and state ~= 'r' and basis == 'verdict' and a == 0 then
  return {'superseded'}
end

local list = {}
if positions == '' then
  for i = 0, n - 1 do list[i + 1] = i end
else
  for i = 1, #positions, 2 do list[#list + 1] = string.byte(positions, i) * 256 + string.byte(positions, i + 1) end
end
local new, detail = read_records(records)
local patient = {}
for j, ns in ipairs(new) do
  if ns == 7 then new[j], patient[list[j]] = 0, true end
end
local st, de = read_results(b, k, n)
local flight = in_flight(rec)
local moved, again, was, anew, solved, others, taken = {}, {}, 0, {}, {}, {}, {}
local function move(f, by) moved[f] = (moved[f] or 0) + by end

-- The function "sent" counts the segments and the cost of an accepted message. nd is the detail of its record.
local spent = {}
local function sent(nd)
  move('seg', segs)
  local currency, amount = cost_of(nd)
  if currency then spent[currency] = (spent[currency] or 0) + amount end
end

-- resolve gives a pending recipient its outcome. If the campaign was stopped, a recipient that was not in flight is
-- counted as skipped or as unknown, and resolve corrects this count.
local function resolve(i, ns, nd, flew)
  local before = was_unknown(de[i])
  if flew then
    move('fly', -1)
    move('pending', -1)
  elseif stopped and before then
    move('unknown', -1)
  elseif stopped then
    move('skipped', -1)
    move('x:' .. stopped, -1)
  else
    move('pending', -1)
    if before then move('was', -1) end
  end
  move(STATUS[ns], 1)
  if ns >= 3 then sent(nd) end
  st[i], de[i] = ns, ns < 3 and with_past(nd, de[i]) or nd
end

-- once_more prepares the resend of a recipient that becomes unknown. It stores the status "unknown". Later,
-- open_gen makes the recipient pending, and keeps the unknown outcome in the recipient's detail.
local function once_more(i, p, nd, flew)
  if flew then move('fly', -1) end
  move('was', 1)
  st[i], de[i] = 1, nd
  anew[#anew + 1] = p
end

-- opted handles a recipient that was skipped because of an opt-out, although a claim that Redis lost had submitted it.
-- The recipient gets the outcome of that claim. There is an exception if the gateway had refused the recipient for now:
-- the recipient then waited in a later generation, and opted out there. In this case only an acceptance replaces the
-- status "skipped".
local function opted(i, ns, nd)
  move('skipped', -1)
  move('x:opted_out', -1)
  if lane then move('to:' .. lane, 1) end
  move(STATUS[ns], 1)
  if ns >= 3 then sent(nd) end
  st[i], de[i] = ns, nd
end

-- The function "both" handles a recipient that went out in two generations. It stores the outcome of
-- this generation beside the outcome of the other generation.
local function both(i, ns, nd)
  local more, has = further(de[i], 8, string.sub(nd, 1, 2))
  local status = RANK[ns] > RANK[st[i]] and ns or st[i]
  if status ~= st[i] then
    move(STATUS[st[i]], -1)
    move(STATUS[status], 1)
  end
  if string.sub(nd, 1, 2) == string.sub(de[i], 1, 2) then
    if status ~= st[i] then de[i] = #nd + #more <= 255 and nd .. more or nd end
  elseif not has then
    -- If the new detail does not fit, it is cut: to its generation and message id, or else to its generation alone.
    if #de[i] + 2 + #nd > 255 and #nd > 4 then nd = string.sub(nd, 1, 2 + (string.byte(nd, 3) == 1 and 17 or 2 + string.byte(nd, 4))) end
    if #de[i] + 2 + #nd > 255 then nd = string.sub(nd, 1, 2) end
    if #de[i] + 2 + #nd <= 255 then
      de[i] = de[i] .. string.char(8, #nd) .. nd
      move('resent', 1)
    end
  end
  st[i] = status
end

-- The function "elsewhere" handles a recipient that waits in another generation than the settled one. The result
-- "accepted" ends this wait. If Redis lost the settled generation, the results "rejected" and "unknown" also end the
-- wait, but not while the other generation is in flight.
local function elsewhere(i, p, ns, nd)
  local pg = pending_in(de[i])
  if others[pg] == nil then others[pg] = load_gen(b, k, pg, n) or new_gen(0, 0) end
  local flying = in_flight(others[pg])
  if ns >= 3 or forgotten and ns > 0 and not flying then
    resolve(i, ns, nd, flying)
    taken[pg] = taken[pg] or {}
    taken[pg][p] = true
  end
end

for j, p in ipairs(list) do
  local i, ns, nd = p + 1, new[j], detail[j]
  if origin ~= '' then nd = pending_detail(g) .. string.sub(nd, 3) end
  if rec[DOUBT] == '1' and (ns == 2 and basis ~= 'answer' or ns == 0 and mine) then ns = 1 end
  local os = st[i]
  local same = string.sub(nd, 1, 2) == string.sub(de[i], 1, 2)
  if os == 0 and state ~= 't' and pending_in(de[i]) == g then
    if ns == 0 and mine and not partial then
      again[#again + 1] = p
      if was_unknown(de[i]) then was = was + 1 end
      solved[p] = true
    elseif ns ~= 0 and not (ns == 1 and state ~= 'r' and (partial or looked or not mine and basis ~= 'abandon')) then
      if ns == 1 and resend and not was_unknown(de[i]) then once_more(i, p, nd, flight) else resolve(i, ns, nd, flight) end
      solved[p] = true
    end
  elseif os == 0 then
    elsewhere(i, p, ns, nd)
  elseif os == MOVED then
    forward = forward or ns >= 3
  elseif os == OPTED then
    if ns >= 3 or ns > 0 and (same or forgotten) then opted(i, ns, nd) end
  elseif ns >= 3 and os >= 3 then
    both(i, ns, nd)
  elseif ns >= 3 then
    move(STATUS[os], -1)
    move(STATUS[ns], 1)
    sent(nd)
    st[i], de[i] = ns, nd
  elseif os == 1 and same and (ns == 2 and basis == 'answer'
    or ns ~= 1 and state == 't' and rec[T_TOKEN] == half(token) and rec[T_CLAIMS] == '1') then
    -- A worker may conclude by itself that no message was sent. This conclusion counts only if the generation was
    -- claimed exactly once.
    move('unknown', -1)
    move('rejected', 1)
    st[i], de[i] = 2, with_past(nd, de[i])
  end
end

-- still_open reports whether generation `gen` has a pending recipient whose position is not a key of the table `done`.
local function still_open(gen, done)
  for i = 1, #st do
    if st[i] == 0 and pending_in(de[i]) == gen and not done[i - 1] then return true end
  end
  return false
end

local open = state ~= 't' and still_open(g, solved)
if #again > 0 then
  leave(#again, was)
  local prompt, later, tries = {}, {}, tonumber(rec[TRIES]) + (spared and 0 or 1)
  for _, p in ipairs(again) do
    local to = patient[p] and later or prompt
    to[#to + 1] = p
  end
  if not stopped and #prompt > 0 then open_gen(b, k, prompt, tries, now + tonumber(back_off), st, de) end
  if not stopped and #later > 0 then open_gen(b, k, later, tries, now + tonumber(patient_back_off), st, de) end
end
-- The gateway has not answered about these recipients, so the submission does not count as an attempt.
if #anew > 0 then open_gen(b, k, anew, tonumber(rec[TRIES]), now + tonumber(back_off), st, de) end
for f, by in pairs(moved) do add(f, by) end
for currency, amount in pairs(spent) do spend(currency, amount) end
if lim then judge(now) end
write_results(b, k, st, de)
for pg, ps in pairs(taken) do
  local other = others[pg]
  if other[STATE] ~= 't' and not still_open(pg, ps) then
    close_gen(b, k, pg, other, now, window, wakes)
  elseif other[STATE] == 'r' then
    take_out(b, k, pg, other, n, ps, now, window, wakes)
  end
end
if state ~= 't' and not open then
  close_gen(b, k, g, rec, now, window, wakes, basis == 'abandon' and token)
elseif mine then
  rec[STATE], rec[DOUBT], rec[BAD] = 'd', '1', int(tonumber(rec[BAD]) + (looked and 0 or 1))
  rec[DUE] = int(now + tonumber(back_off))
  save_gen(b, k, g, rec)
  add('flyc', -1)
  redis.call('ZADD', O, 'XX', get('stop') and int(now) or rec[DUE], b)
elseif looked and state == 'd' and rec[BAD] == lookups then
  rec[BAD], rec[DUE] = int(tonumber(rec[BAD]) + 1), int(now + tonumber(back_off))
  save_gen(b, k, g, rec)
  redis.call('ZADD', O, 'XX', get('stop') and int(now) or rec[DUE], b)
elseif state == 'r' and next(solved) then
  take_out(b, k, g, rec, n, solved, now, window, wakes)
elseif state == 't' and #wakes > before then
  rec[T_WAKES] = table.concat(wakes, ',') -- another generation ended because of this late result
  save_gen(b, k, g, rec)
end
return answer()
